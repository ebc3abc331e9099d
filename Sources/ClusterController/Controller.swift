public import KubeAPI
public import Logging
import Measures
import Reconciliation
import TandemAPI

/// Brings a cluster's objects and Tandem together, as the one that leads: it follows the cluster's lists, and has each object looked at
/// by one worker at a time.
///
/// Nothing is done until every list is there; then objects that show addresses are adopted, and only then are any assigned. All that it knows is
/// read again at a start: nothing is lost with the process.
public actor Controller {
    let settings: ControllerSettings
    let kube: KubeClient
    let tandem: TandemLink
    let metrics: ControllerMetrics
    let logger: Logger

    var queue: WorkQueue<ObjectKey>
    var nodes: [String: ShownNode] = [:]
    var services: [ObjectKey: ShownService] = [:]
    var pods: [ObjectKey: ShownPod] = [:]
    /// Objects with adopted addresses: the uid that they had.
    private var taken: [ObjectKey: String] = [:]
    /// Parts with a complete list.
    private var listed: Set<ControllerSettings.Part> = []
    /// Since when nodes are away that Tandem has.
    var goneSince: [String: Duration] = [:]
    var grown: [String: [String]] = [:]
    var collection: PodCollection
    var lastEvents: [ObjectKey: SaidEvent] = [:]
    /// The number of sweeps for deleted objects.
    private(set) var sweeps = 0
    private var generation = 0
    /// The decisions that are told to the user of a dry run.
    let told: (@Sendable (String) -> Void)?
    /// Of a dry run.
    var prospect: Prospect?

    private let start = ContinuousClock.now
    private let wakeups: AsyncStream<Void>
    private let wakeup: AsyncStream<Void>.Continuation
    private var timer: Duration?

    public init(
        _ settings: ControllerSettings, kube: KubeClient, tandem: TandemLink, metrics: ControllerMetrics,
        logger: Logger
    ) {
        self.init(settings, kube: kube, tandem: tandem, metrics: metrics, logger: logger, told: nil)
    }

    init(
        _ settings: ControllerSettings, kube: KubeClient, tandem: TandemLink, metrics: ControllerMetrics,
        logger: Logger, told: (@Sendable (String) -> Void)?
    ) {
        self.settings = settings
        self.kube = kube
        self.tandem = tandem
        self.metrics = metrics
        self.logger = logger
        self.told = told
        queue = WorkQueue(
            ranks: ObjectKey.ranks, workers: settings.workers,
            pauses: .init(first: settings.firstPause, longest: settings.longestPause))
        collection = PodCollection(gracePeriod: settings.gracePeriod)
        (wakeups, wakeup) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    var now: Duration { start.duration(to: .now) }

    /// Runs until the task is cancelled: turns in progress are then broken off, as by a kill.
    public func run() async {
        await withDiscardingTaskGroup { group in
            for part in settings.parts {
                group.addTask { await self.follow(part) }
            }
            var isSweeping = false
            for await _ in wakeups {
                if isSynced {
                    if !isSweeping { group.addTask { await self.sweepAgainAndAgain() } }
                    isSweeping = true
                    while let key = queue.take(now: now) { group.addTask { await self.turn(key) } }
                }
                noteState()
                if let due = queue.nextDue, timer.map({ due < $0 }) ?? true {
                    timer = due
                    group.addTask { await self.wake(at: due) }
                }
            }
            group.cancelAll()
        }
    }

    var isSynced: Bool { listed == settings.parts }

    private func wake(at due: Duration) async {
        try? await Task.sleep(for: max(.milliseconds(1), due - now))
        if timer == due { timer = nil }
        wakeup.yield()
    }

    private func noteState() {
        let counts = queue.counts
        let objects: [ControllerSettings.Part: Int] = [
            .node: nodes.count, .loadbalancer: services.count, .pod: pods.count,
        ]
        metrics.set { state in
            (state.waiting, state.paused, state.running) = (counts.waiting, counts.paused, counts.running)
            state.objects = objects.filter { settings.parts.contains($0.key) }
            state.isSynced = isSynced
            state.missingPods = collection.missingCount
            state.grownNodes = grown.count
        }
    }

    // MARK: The cluster's lists

    /// Pods with the addresses that they show: adopted also where an earlier runtime assigned them.
    static func collection(_ part: ControllerSettings.Part) -> KubeCollection {
        switch part {
        case .node: .nodes
        case .loadbalancer: .services
        case .pod: KubeCollection(.pods, fieldSelector: "status.phase!=Succeeded,status.phase!=Failed")
        }
    }

    private func follow(_ part: ControllerSettings.Part) async {
        let hasTrouble = TroubleMark()
        let changes = kube.follow(Self.collection(part)) { [metrics, logger] trouble in
            metrics.countTrouble()
            hasTrouble.set()
            logger.warning(
                "cluster not read",
                metadata: [
                    "of": "\(trouble.collection)", "error": "\(trouble.error)", "again": "\(trouble.pause)",
                ])
        }
        for await change in changes {
            // Objects that failed meanwhile need not wait for their pause.
            if hasTrouble.take() { queue.hurry(onlyFull: false) }
            switch change {
            case .replaced(let objects, _): replaced(part, objects)
            case .changed(let object): changed(part, object)
            case .deleted(let object): deleted(part, object)
            case .bookmark: continue
            }
            wakeup.yield()
        }
    }

    /// A whole list: objects that are no longer in it get a turn too.
    func replaced(_ part: ControllerSettings.Part, _ objects: [JSONValue]) {
        var before = Set(known(part))
        for object in objects {
            if let key = changed(part, object) { before.remove(key) }
        }
        for key in before { gone(key) }
        if listed.insert(part).inserted {
            logger.info("listed", metadata: ["controller": "\(part.rawValue)", "objects": "\(objects.count)"])
        }
    }

    private func known(_ part: ControllerSettings.Part) -> [ObjectKey] {
        switch part {
        case .node: nodes.keys.map { .node($0) }
        case .loadbalancer: Array(services.keys)
        case .pod: Array(pods.keys)
        }
    }

    /// Has an object looked at whose part that counts here is another one than before.
    @discardableResult
    private func changed(_ part: ControllerSettings.Part, _ object: JSONValue) -> ObjectKey? {
        switch part {
        case .node:
            guard let node = ShownNode(object) else { return nil }
            let key = ObjectKey.node(node.name)
            goneSince[node.name] = nil
            if nodes.updateValue(node, forKey: node.name) != node { add(key) }
            return key
        case .loadbalancer:
            guard let service = ShownService(object) else { return nil }
            let key = ObjectKey.service(service.namespace, service.name)
            var old = services.updateValue(service, forKey: key)
            old?.resourceVersion = service.resourceVersion
            if old != service, old != nil || concerns(service) { add(key) }
            return key
        case .pod:
            guard let pod = ShownPod(object) else { return nil }
            let key = ObjectKey.pod(pod.namespace, pod.name)
            if pods.updateValue(pod, forKey: key) != pod, !pod.addresses.isEmpty, !pod.isDeleting || !isSynced {
                add(key)
            }
            return key
        }
    }

    /// Whether a Service that is new here may be this controller's to do something with.
    private func concerns(_ service: ShownService) -> Bool {
        settings.classes.serve(service) || service.finalizers.contains(LoadBalancerPass.finalizer)
    }

    private func deleted(_ part: ControllerSettings.Part, _ object: JSONValue) {
        let key: ObjectKey? =
            switch part {
            case .node: ShownNode(object).map { .node($0.name) }
            case .loadbalancer: ShownService(object).map { .service($0.namespace, $0.name) }
            case .pod: ShownPod(object).map { .pod($0.namespace, $0.name) }
            }
        if let key { gone(key) }
    }

    func gone(_ key: ObjectKey) {
        taken[key] = nil
        lastEvents[key] = nil
        switch key {
        case .node(let name):
            nodes[name] = nil
            grown[name] = nil
            if goneSince[name] == nil { goneSince[name] = now }
            queue.add(key, rank: ObjectKey.lastRank)
        case .service:
            services[key] = nil
            queue.add(key, rank: ObjectKey.lastRank)
        // Its addresses are for the next sweep.
        case .pod:
            pods[key] = nil
            queue.forget(key)
        }
    }

    /// An object that was read by itself. Where the list has a change since, that one stays, as it may be the newer one: it has a turn of its
    /// own, and the state read here comes by the list as well.
    func note(_ key: ObjectKey, _ object: JSONValue?) {
        guard !queue.isDue(key) else { return }
        switch key {
        case .node(let name): if let object { nodes[name] = ShownNode(object) ?? nodes[name] }
        case .service: if let object { services[key] = ShownService(object) ?? services[key] }
        case .pod: break
        }
    }

    // MARK: The queue

    private func add(_ key: ObjectKey) { queue.add(key, rank: rank(key)) }

    private func rank(_ key: ObjectKey) -> Int {
        guard let uid = uidOfAddresses(key), taken[key] != uid else { return ObjectKey.lastRank }
        return key.adoptionRank
    }

    /// The uid of an object that shows addresses which may be Tandem's.
    private func uidOfAddresses(_ key: ObjectKey) -> String? {
        switch key {
        case .node(let name): nodes[name].flatMap { $0.podCIDRs.isEmpty ? nil : $0.uid }
        case .service:
            services[key].flatMap { settings.classes.serve($0) && !$0.addresses.isEmpty ? $0.uid : nil }
        case .pod: pods[key].flatMap { $0.addresses.isEmpty ? nil : $0.uid }
        }
    }

    /// Every object gets a turn again, those that show addresses first.
    func resync() {
        taken = [:]
        for name in nodes.keys { add(.node(name)) }
        for (key, service) in services where concerns(service) { add(key) }
        for (key, pod) in pods where !pod.addresses.isEmpty && !pod.isDeleting { add(key) }
        wakeup.yield()
    }

    private func turn(_ key: ObjectKey) async {
        let begun = Moment.now()
        let uid = uidOfAddresses(key)
        let isAdoption = uid != nil && taken[key] != uid
        let outcome = await work(key, givesNothing: isAdoption)
        if isAdoption, outcome.queue != .failed(isHolding: true) { taken[key] = uid }
        let rank = rank(key)
        queue.finish(key, outcome.queue, rank: rank, now: now, isFull: outcome.isFull)
        // It gets the missing addresses once there is nothing left to adopt.
        if isAdoption, outcome.isPostponed { queue.add(key, rank: ObjectKey.lastRank) }
        if outcome.hasReleased { queue.hurry(onlyFull: true) }
        metrics.observe(turn: Moment.now().since(begun))
        await resyncWhereTandemWasAway()
        wakeup.yield()
    }

    /// It may know less than before.
    private func resyncWhereTandemWasAway() async {
        let connection = await tandem.generation
        guard connection != generation else { return }
        if generation > 0 { resync() }
        generation = connection
    }

    // MARK: Deleted objects

    private func sweepAgainAndAgain() async {
        var nextResync = now + settings.resyncPeriod
        while !Task.isCancelled {
            await sweep()
            sweeps += 1
            await resyncWhereTandemWasAway()
            if now >= nextResync {
                resync()
                nextResync = now + settings.resyncPeriod
            }
            try? await Task.sleep(for: settings.sweepPeriod)
        }
    }

    /// Looks for objects that Tandem has and the cluster does not show.
    private func sweep() async {
        do {
            if settings.parts.contains(.node) {
                for (name, held) in try await tandem.nodes() {
                    if let shown = nodes[name] {
                        // A node grows in Tandem with its next pod, of which no event tells here.
                        guard grown[name] == nil, !held.cidrs(beyond: shown).isEmpty else { continue }
                    } else if goneSince[name] == nil {
                        goneSince[name] = now
                    }
                    queue.add(.node(name), rank: ObjectKey.lastRank)
                }
            }
            if settings.parts.contains(.loadbalancer) {
                for (namespace, name) in try await tandem.managedServices() {
                    let key = ObjectKey.service(namespace, name)
                    if services[key].map({ settings.classes.serve($0) }) != true {
                        queue.add(key, rank: ObjectKey.lastRank)
                    }
                }
            }
            if settings.parts.contains(.pod) { try await collectPods() }
        } catch {
            logger.warning("not swept", metadata: ["error": "\(error)"])
        }
        wakeup.yield()
    }
}
