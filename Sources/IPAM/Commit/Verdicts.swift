import Synchronization

/// The verdicts on a group of proposals for its callers, handed over when the group is through: once for each executor, so that many
/// verdicts cost each event loop one waking. Thread-safe.
final class Verdicts: Sendable {
    private struct Post: Sendable {
        let executor: any Executor
        var bodies: [@Sendable () -> Void]
    }

    private struct Posts: Sendable {
        var all: [Post] = []
        var places: [ObjectIdentifier: Int] = [:]
    }

    private let posts = Mutex(Posts())

    /// Runs `body` at once where there is no executor.
    func post(on executor: (any Executor)?, _ body: @escaping @Sendable () -> Void) {
        guard let executor else { return body() }
        posts.withLock { posts in
            // Callers of one client come one behind the other, mostly.
            if let last = posts.all.indices.last, posts.all[last].executor === executor {
                return posts.all[last].bodies.append(body)
            }
            let place = posts.places[ObjectIdentifier(executor)]
            if let place { return posts.all[place].bodies.append(body) }
            posts.places[ObjectIdentifier(executor)] = posts.all.count
            posts.all.append(Post(executor: executor, bodies: [body]))
        }
    }

    func handOver() {
        let posts = posts.withLock { posts in
            defer { posts = Posts() }
            return posts.all
        }
        for post in posts { post.executor.execute(post.bodies) }
    }
}
