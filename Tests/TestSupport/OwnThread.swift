import Foundation

/// Work that blocks, on a thread of its own: the pool on which tests run has few.
public func onOwnThread<Value>(_ work: @escaping @Sendable () throws -> sending Value) async throws -> sending Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread {
            do {
                continuation.resume(returning: try work())
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }
}
