public import TandemAPI

/// A change of a collection; objects are without `metadata.managedFields`.
public enum KubeChange: Sendable, Hashable {
    /// All that there is, at first and whenever changes were missed: earlier events are void.
    case replaced([JSONValue], version: String)
    /// New, or not as it was.
    case changed(JSONValue)
    /// As it was last; it is gone, or is selected no more.
    case deleted(JSONValue)
    /// All up to the version has been told.
    case bookmark(version: String)
}

/// Why a collection is not known at the moment.
public struct KubeTrouble: Sendable, Hashable {
    public let collection: KubeCollection
    public let error: KubeError
    /// A list failed, else a watch.
    public let isListing: Bool
    /// Until it is tried again.
    public let pause: Duration
}

/// A collection and all its changes, without end: a list, and watches one behind the other. Where one fails it goes on from the last version,
/// or lists again, after a pause that grows from 0.8 to 30 s.
///
/// Unread events stay with the server: memory is bounded by the list, and one object. It ends when its task is cancelled.
public struct KubeFollowing: AsyncSequence, Sendable {
    let client: KubeClient
    let collection: KubeCollection
    let onTrouble: @Sendable (KubeTrouble) -> Void

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(client: client, collection: collection, onTrouble: onTrouble)
    }

    public struct AsyncIterator: AsyncIteratorProtocol {
        let client: KubeClient
        let collection: KubeCollection
        let onTrouble: @Sendable (KubeTrouble) -> Void
        private var state = FollowState()
        private var watch: (events: KubeWatch.AsyncIterator, since: Duration)?

        init(
            client: KubeClient, collection: KubeCollection, onTrouble: @escaping @Sendable (KubeTrouble) -> Void
        ) {
            self.client = client
            self.collection = collection
            self.onTrouble = onTrouble
        }

        /// nil when the task is cancelled.
        public mutating func next(isolation actor: isolated (any Actor)?) async -> KubeChange? {
            while !Task.isCancelled {
                do throws(KubeError) {
                    if let change = try await goOn(actor) { return change }
                } catch {
                    guard error.code != .cancelled || !Task.isCancelled else { return nil }
                    let (begun, isListing) = (watch, state.step == .list)
                    watch = nil
                    if error.code == .timedOut, let begun {
                        state.ended(after: client.clock.now() - begun.since)
                        continue
                    }
                    state.failed(error, hasBegun: begun != nil)
                    onTrouble(
                        KubeTrouble(collection: collection, error: error, isListing: isListing, pause: state.pause))
                }
            }
            return nil
        }

        /// nil where there is something else to be done next.
        private mutating func goOn(_ actor: isolated (any Actor)?) async throws(KubeError) -> KubeChange? {
            if watch != nil {
                guard let event = try await watch?.events.next(isolation: actor) else {
                    state.ended(after: client.clock.now() - (watch?.since ?? .zero))
                    watch = nil
                    return nil
                }
                return take(event)
            }
            // Many that have lost the same server don't all come back at once.
            let pause = state.pause * Double.random(in: 1...1.25)
            if pause > .zero, (try? await client.clock.sleep(pause)) == nil { throw .cancelled }
            switch state.step {
            case .list:
                let list = try await client.list(collection)
                state.listed(list.version)
                return .replaced(list.items, version: list.version)
            case .look:
                let found = try await client.version(of: collection)
                if !state.looked(found) {
                    throw KubeError(.gone, "the server is at version \(found), behind the versions of its own events")
                }
                return nil
            case .watch(let version):
                state.begun()
                let begun = try await client.watch(collection, from: version)
                watch = (begun.makeAsyncIterator(), client.clock.now())
                return nil
            }
        }

        private mutating func take(_ event: KubeWatchEvent) -> KubeChange {
            let change: KubeChange
            switch event {
            case .added(let object), .modified(let object): change = .changed(object)
            case .deleted(let object): change = .deleted(object)
            case .bookmark(let version):
                state.told(version)
                return .bookmark(version: version)
            }
            switch change {
            case .changed(let object), .deleted(let object):
                state.told(object["metadata"]?["resourceVersion"]?.stringValue)
            default: break
            }
            return change
        }
    }
}

extension KubeClient {
    /// A collection and all its changes. `onTrouble` is told of each failure, from the reader's task; it must not block.
    public func follow(
        _ collection: KubeCollection, onTrouble: @escaping @Sendable (KubeTrouble) -> Void = { _ in }
    ) -> KubeFollowing {
        KubeFollowing(client: self, collection: collection, onTrouble: onTrouble)
    }
}
