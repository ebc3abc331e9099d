import NIOCore
import TandemAPI
import TandemClient

/// Watches one server for a page, over a connection of its own: the last changes that the server still knows, and then new ones. Objects
/// that are there already are not listed, however many.
struct ChangeFollower {
    let configuration: ClientConfiguration
    let buffer: ChangeBuffer

    /// Changes from before the page was there.
    private static let recent: UInt64 = 50
    private static let pause = Duration.seconds(2)

    /// Returns when the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            do {
                let client = try await TandemClient.connect(configuration, timeout: .seconds(5))
                do {
                    try await follow(client)
                    await client.close()
                } catch {
                    await client.close()
                    throw error
                }
            } catch is CancellationError {
                return
            } catch {
                buffer.put(state: ["state": "lost", "error": Calls.error(error)])
                try? await Task.sleep(for: Self.pause)
            }
        }
    }

    /// Returns where changes were missed: the next ones are to be asked for anew.
    private func follow(_ client: TandemClient) async throws {
        let (kinds, newest) = try await Self.newest(client)
        buffer.put(state: ["state": "watching"])
        let start = newest > Self.recent ? newest - Self.recent : 1
        for version in [start, newest] {
            var isFirst = true
            for try await change in client.watch(
                ["kinds": .array(kinds.map { .string($0.rawValue) })], from: String(version))
            {
                if case .restarted = change {
                    // So old a version is not kept any more; of the newest one that can't be.
                    guard isFirst, version == start, start != newest else {
                        return buffer.put(state: ["state": "gap"])
                    }
                    break
                }
                isFirst = false
                if let line = Change.line(change, old: newest) { buffer.put(line) } else { buffer.beat() }
            }
            try Task.checkCancellation()
        }
    }

    /// The newest version, and the kinds of objects that the certificate may see.
    private static func newest(_ client: TandemClient) async throws -> (kinds: [ObjectKind], version: UInt64) {
        var refusal: APIError?
        let choices: [(kinds: [ObjectKind], list: TandemAPI.Method)] = [
            ([.service, .node, .pod], .listNodes), ([.node, .pod], .listNodes), ([.service], .listServices),
        ]
        for (kinds, list) in choices {
            do throws(any Error) {
                let page = try await client.call(list, ["limit": 1])
                guard let version = page["resourceVersion"]?.stringValue.flatMap({ UInt64($0) }) else { continue }
                // Whether all of them may be seen is told by a watch alone.
                let probe = try await client.call(
                    .watch,
                    ["kinds": .array(kinds.map { .string($0.rawValue) }), "resourceVersion": .string(String(version))])
                _ = try await client.call(.unwatch, ["subscription": probe["subscription"] ?? .null])
                return (kinds, version)
            } catch let error as APIError where error.status == .permissionDenied {
                refusal = error
            }
        }
        throw refusal ?? APIError(.permissionDenied, reason: "Forbidden", "the certificate may watch nothing")
    }
}
