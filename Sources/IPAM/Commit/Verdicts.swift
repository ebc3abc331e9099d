import Synchronization

/// What callers are to be told of a group of proposals, handed over when the group is through: once for each executor, so that many
/// verdicts cost each event loop one waking. Thread-safe.
final class Verdicts: Sendable {
    private struct Post: Sendable {
        let executor: any Executor
        var bodies: [@Sendable () -> Void]
    }

    private let posts = Mutex<[Post]>([])

    /// Runs `body` at once where there is no executor.
    func post(on executor: (any Executor)?, _ body: @escaping @Sendable () -> Void) {
        guard let executor else { return body() }
        posts.withLock { posts in
            // As many as there are event loops.
            if let index = posts.firstIndex(where: { $0.executor === executor }) {
                posts[index].bodies.append(body)
            } else {
                posts.append(Post(executor: executor, bodies: [body]))
            }
        }
    }

    func handOver() {
        let posts = posts.withLock { posts in
            defer { posts = [] }
            return posts
        }
        for post in posts { post.executor.execute(post.bodies) }
    }
}
