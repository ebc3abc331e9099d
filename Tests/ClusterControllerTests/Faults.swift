import KubeSupport

/// Faults of the API server that a test can list.
enum FakeFaultKind {
    case loseApplied, lose, conflict, throttle

    func fault(_ method: String, _ path: String) -> FakeFault {
        switch self {
        case .loseApplied: FakeFault(.lose(applied: true), method, path)
        case .lose: FakeFault(.lose(applied: false), method, path)
        case .conflict: FakeFault(.refuse(409, reason: "Conflict"), method, path)
        case .throttle: FakeFault(.refuse(429, reason: "TooManyRequests", retryAfter: 0), method, path)
        }
    }
}
