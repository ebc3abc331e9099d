import NIOCore
public import TandemAPI

/// An event of a watch.
public enum WatchedChange: Sendable, Hashable {
    case added(JSONValue)
    case modified(JSONValue)
    /// With the object as it was last.
    case deleted(JSONValue)
    /// All changes up to the version have been sent; the first one ends the initial objects.
    case bookmark(version: String)
    /// Earlier events are void: changes since are no longer known, and the existing objects follow, up to a bookmark.
    case restarted
}

/// Changes of objects, without end: first the existing objects. A connection that is lost is made again, with another server where there are several,
/// and the watch goes on where it was. Where a server no longer knows the changes since, it begins anew with an event that says so.
///
/// Memory is bounded: a slow reader gets events later, or begins anew.
public struct Watching: AsyncSequence, Sendable {
    public typealias Element = WatchedChange

    let client: TandemClient
    let params: JSONValue
    /// Where it begins; nil for the existing objects.
    let start: String?

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(client: client, params: params, version: start)
    }

    public struct AsyncIterator: AsyncIteratorProtocol {
        /// A server says something every 30 s.
        private static let patience = TimeAmount.seconds(65)

        let client: TandemClient
        let params: JSONValue
        private var version: String?
        private var feed: WatchFeed?
        private var events: [JSONValue] = []
        /// The initial objects have been sent.
        private var isListed = false
        private var hasTold = false

        init(client: TandemClient, params: JSONValue, version: String?) {
            (self.client, self.params, self.version) = (client, params, version)
        }

        /// nil when the task is cancelled. Throws where the watch can't go on: the objects may not be watched, or a certificate is refused.
        public mutating func next() async throws -> WatchedChange? {
            while !Task.isCancelled {
                if let event = events.popLast() {
                    if let change = take(event) { return change }
                    continue
                }
                guard let feed else {
                    if try await begin() { continue }
                    return .restarted
                }
                guard let line = await client.next(of: feed, within: Self.patience) else {
                    self.feed = nil
                    continue
                }
                events = (line["events"]?.arrayValue ?? []).reversed()
                if let error = line["error"] {
                    self.feed = nil
                    let error = try APIError(decoding: error)
                    guard error.status == .outOfRange else { throw error }
                    forget()
                    return .restarted
                }
            }
            return nil
        }

        private mutating func take(_ event: JSONValue) -> WatchedChange? {
            hasTold = true
            let place = event["resourceVersion"]?.stringValue
            let object = event["object"] ?? .null
            switch event["type"]?.stringValue {
            case "BOOKMARK":
                (version, isListed) = (place ?? version, true)
                return .bookmark(version: place ?? "0")
            case "ADDED":
                if isListed { version = place }
                return .added(object)
            case "MODIFIED":
                version = place
                return .modified(object)
            case "DELETED":
                version = place
                return .deleted(object)
            // Of a later release.
            default: return nil
            }
        }

        /// False where earlier events are void.
        private mutating func begin() async throws -> Bool {
            var params = params
            var pause = TimeAmount.milliseconds(50)
            while true {
                if let version { params["resourceVersion"] = .string(version) }
                let feed = WatchFeed()
                do {
                    _ = try await client.begin(params, feed)
                    self.feed = feed
                    isListed = version != nil
                    // A listing that was broken off begins anew.
                    defer { if version == nil { hasTold = false } }
                    return version != nil || !hasTold
                } catch let error as APIError where error.status == .outOfRange {
                    forget()
                    return false
                } catch let error as APIError where !error.isRetryable {
                    throw error
                } catch let error as ClientError where error.code == .malformedAnswer {
                    throw error
                } catch {
                    try await Task.sleep(for: .nanoseconds(pause.nanoseconds))
                    pause = Swift.min(.nanoseconds(2 * pause.nanoseconds), .seconds(2))
                }
            }
        }

        private mutating func forget() { (version, isListed, hasTold) = (nil, false, false) }
    }
}

extension TandemClient {
    /// Watches objects: `params` as `Watch` takes them, without `resourceVersion`. With a version it begins with the changes since, or, where the
    /// server does not know that any more, with `restarted`.
    public func watch(_ params: JSONValue = [:], from version: String? = nil) -> Watching {
        Watching(client: self, params: params, start: version)
    }
}
