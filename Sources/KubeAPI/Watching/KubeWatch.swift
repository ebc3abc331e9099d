import LineFraming
import NIOCore
import NIOHTTP1
public import TandemAPI

/// An event of a watch; objects are without `metadata.managedFields`.
public enum KubeWatchEvent: Sendable, Hashable {
    case added(JSONValue)
    case modified(JSONValue)
    /// As it was last; it matches the selection no more, or is gone.
    case deleted(JSONValue)
    /// All up to the version has been told.
    case bookmark(version: String)

    /// One line. Throws the error that the server has put into it: `gone` where it no longer knows the changes.
    package init?(_ line: JSONValue) throws(KubeError) {
        guard let object = line["object"], let type = line["type"]?.stringValue else {
            throw .malformed("a line of a watch has no type or no object")
        }
        switch type {
        case "ADDED": self = .added(Self.slim(object))
        case "MODIFIED": self = .modified(Self.slim(object))
        case "DELETED": self = .deleted(Self.slim(object))
        case "BOOKMARK":
            guard let version = object["metadata"]?["resourceVersion"]?.stringValue else { return nil }
            self = .bookmark(version: version)
        case "ERROR": throw Status.error(of: object)
        // Of a later release.
        default: return nil
        }
    }
}

/// Changes from one version on, over one connection, until the server ends it. Unread events stay with the server, but for
/// one line and some 100 KB. One iterator.
public struct KubeWatch: AsyncSequence, Sendable {
    let body: ResponseBody
    /// The connection: its end is the watch's.
    let client: KubeClient

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(
            client: client, chunks: body.makeAsyncIterator(),
            lines: LineBuffer(maximumBytes: client.configuration.maximumLineBytes))
    }

    public struct AsyncIterator: AsyncIteratorProtocol {
        let client: KubeClient
        var chunks: ResponseBody.AsyncIterator
        var lines: LineBuffer

        /// nil at an orderly end, behind which another watch goes on from the last version. Throws `timedOut` where nothing was told for
        /// `watchSilence`, `cancelled` where the task is cancelled.
        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(KubeError) -> KubeWatchEvent? {
            while true {
                switch lines.next() {
                case .line(let line):
                    if let event = try KubeWatchEvent(Self.value(line)) { return event }
                case .tooLong: throw KubeError(.tooLarge, "a line of a watch is too long")
                case .none:
                    let chunk: ByteBuffer?
                    do {
                        chunk = try await chunks.next(isolation: actor)
                    } catch {
                        throw KubeError(wrapping: error)
                    }
                    guard !Task.isCancelled else { throw .cancelled }
                    guard let chunk else {
                        guard lines.storedBytes == 0 else {
                            throw KubeError(.connectionLost, "a watch ended within a line")
                        }
                        return nil
                    }
                    lines.append(chunk)
                }
            }
        }

        private static func value(_ line: ByteBuffer) throws(KubeError) -> JSONValue {
            do throws(JSONError) {
                return try JSONValue(parsing: line.readableBytesView)
            } catch {
                throw .malformed("a line of a watch is not JSON: \(error)")
            }
        }
    }
}

extension KubeClient {
    /// Begins a watch of the changes after `version`, which the server ends after `timeout`. Throws where the server does not take it up:
    /// `gone` where it no longer knows, `timedOut` where the version is still to come (its store is an older one than it was); old servers
    /// tell nothing then.
    public func watch(
        _ collection: KubeCollection, from version: String, timeout: Duration = .seconds(300)
    ) async throws(KubeError) -> KubeWatch {
        let seconds = Swift.max(timeout.components.seconds, 1)
        var request = HTTPRequest(
            method: .GET,
            path: collection.path([
                ("watch", "true"), ("allowWatchBookmarks", "true"), ("resourceVersion", version),
                ("timeoutSeconds", String(seconds)),
            ]))
        if collection.metadataOnly {
            request.accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
        }
        // A server that does not end it is gone.
        let response = try await send(
            request, until: clock.now() + configuration.watchHeadTimeout, watching: .seconds(seconds) + Self.watchGrace)
        return KubeWatch(body: response.body, client: self)
    }

    private static let watchGrace = Duration.seconds(15)
}

extension KubeWatchEvent {
    /// Without `managedFields`, most of an object's bytes.
    static func slim(_ object: JSONValue) -> JSONValue {
        var object = object
        if object["metadata"]?["managedFields"] != nil { object["metadata"]?["managedFields"] = nil }
        return object
    }
}
