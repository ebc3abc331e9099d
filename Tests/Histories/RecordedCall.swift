public import TandemAPI

/// A call and its answer, with the moments of both on one clock that only counts.
public struct RecordedCall: Sendable, CustomStringConvertible {
    public enum Act: Sendable, CaseIterable { case allocate, update, release, read }

    public enum Outcome: Sendable, Equatable {
        case object(String, Int, isReplay: Bool)
        case released(String?)
        case missing
        case full
        case other(String)
        /// There was no answer: it has been done, will be, or never.
        case unknown
    }

    public var act: Act
    public var name: Int
    public var invoked: Int
    public var answered: Int
    public var outcome: Outcome

    /// For a call that is not known to be done by any moment, `answered` does not count.
    public init(act: Act, name: Int, invoked: Int, answered: Int, outcome: Outcome) {
        self.act = act
        self.name = name
        self.invoked = invoked
        self.answered = outcome == .unknown ? .max : answered
        self.outcome = outcome
    }

    public var description: String {
        "\(invoked)-\(answered == .max ? "" : "\(answered)") \(act) \(name): \(outcome)"
    }
}

extension RecordedCall {
    /// The outcome that a server's answer gives of a Service.
    public static func outcome(_ act: RecordedCall.Act, _ result: Result<JSONValue, APIError>) -> Outcome {
        switch result {
        case .success(let json):
            if act == .release { return .released(json["released"]?.arrayValue?.first?["ip"]?.stringValue) }
            guard let service = json["service"], let address = service["spec"]?["clusterIP"]?.stringValue,
                let version = service["metadata"]?["resourceVersion"]?.stringValue.flatMap({ Int($0) })
            else { return .other(json.text.description) }
            return .object(address, version, isReplay: json["replayed"] == true)
        case .failure(let error) where error.status == .notFound: return .missing
        case .failure(let error) where error.status == .resourceExhausted: return .full
        case .failure(let error): return .other(error.message)
        }
    }
}
