import NIOCore
import Reconciliation
public import TandemAPI
public import TandemClient

/// Tandem as long as the process runs: a connection that is lost is made again by the next call. Thread-safe.
public actor TandemLink {
    private let configuration: ClientConfiguration
    private var client: Task<TandemClient, any Error>?
    private var connections = 0

    /// Connects when there is something to ask.
    public init(_ configuration: ClientConfiguration) {
        var configuration = configuration
        // A lost server may return with less state: this is noticed, and the cluster's objects are sent anew.
        configuration.comesBack = false
        self.configuration = configuration
    }

    /// How often a connection was made: Tandem may be another one since.
    var generation: Int { connections }

    /// Throws `APIError`, `ClientError`, or `TLSError` where one of the files can't be used.
    public func call(_ method: TandemAPI.Method, _ params: JSONValue) async throws -> JSONValue {
        let task = connection()
        do {
            return try await task.value.call(method, params, timeout: .seconds(30))
        } catch let error as APIError where error.status != .unauthenticated {
            throw error
        } catch {
            // Also with a certificate that has ended: its file may hold the next one by now.
            await drop(task)
            throw error
        }
    }

    private func connection() -> Task<TandemClient, any Error> {
        if let client { return client }
        let task = Task { [configuration] in
            let client = try await TandemClient.connect(configuration)
            noteConnection()
            return client
        }
        client = task
        return task
    }

    private func noteConnection() { connections += 1 }

    /// Others may have connected anew since.
    private func drop(_ task: Task<TandemClient, any Error>) async {
        if client == task { client = nil }
        try? await task.value.close()
    }

    public func close() async {
        guard let client else { return }
        self.client = nil
        try? await client.value.close()
    }

    // MARK: Objects in Tandem

    /// nil where it has none.
    func node(_ name: String) async throws -> HeldNode? {
        try await found(.getNode, ["node": ["metadata": ["name": .string(name)]]]).flatMap { answer in
            answer["node"].flatMap { HeldNode($0, isUIDMade: answer["uidMade"] == true) }
        }
    }

    func service(_ namespace: String, _ name: String) async throws -> HeldService? {
        let metadata: JSONValue = ["namespace": .string(namespace), "name": .string(name)]
        return try await found(.getService, ["service": ["metadata": metadata]])
            .flatMap { $0["service"].flatMap { HeldService($0) } }
    }

    func pod(_ question: JSONValue) async throws -> HeldPod? {
        try await found(.getPod, question).flatMap { $0["pod"].flatMap { HeldPod($0) } }
    }

    private func found(_ method: TandemAPI.Method, _ params: JSONValue) async throws -> JSONValue? {
        do {
            return try await call(method, params)
        } catch let error as APIError where error.status == .notFound {
            return nil
        }
    }

    func nodes() async throws -> [(name: String, node: HeldNode)] {
        try await list(.listNodes).compactMap { object, isMade in
            guard let name = object["metadata"]?["name"]?.stringValue else { return nil }
            return HeldNode(object, isUIDMade: isMade).map { (name, $0) }
        }
    }

    /// Those that a controller put there.
    func managedServices() async throws -> [(namespace: String, name: String)] {
        try await list(.listServices).compactMap { object, _ in
            guard HeldService(object)?.isManaged == true, let name = object["metadata"]?["name"]?.stringValue else {
                return nil
            }
            return (object["metadata"]?["namespace"]?.stringValue ?? "default", name)
        }
    }

    func pools(_ kind: PoolKind) async throws -> [JSONValue] {
        var pools: [JSONValue] = []
        try await visitPages(.getPools, ["kind": .string(kind.rawValue)]) { pools += $0["pools"]?.arrayValue ?? [] }
        return pools
    }

    func pods() async throws -> [HeldPod] {
        try await list(.listPods).compactMap { HeldPod($0, isUIDMade: $1) }
    }

    /// With whether Tandem made the object's uid.
    private func list(_ method: TandemAPI.Method) async throws -> [(object: JSONValue, isUIDMade: Bool)] {
        var items: [(object: JSONValue, isUIDMade: Bool)] = []
        try await visitPages(method) { page in
            let made = Set((page["madeUIDs"]?.arrayValue ?? []).compactMap(\.stringValue))
            for object in page["items"]?.arrayValue ?? [] {
                items.append((object, made.contains(object["metadata"]?["uid"]?.stringValue ?? "")))
            }
        }
        return items
    }

    private func visitPages(
        _ method: TandemAPI.Method, _ params: JSONValue = [:], _ body: (JSONValue) -> Void
    ) async throws {
        var params = params
        params["limit"] = 1_000
        while true {
            let page = try await call(method, params)
            body(page)
            guard let next = page["continue"] else { return }
            params["continue"] = next
        }
    }
}
