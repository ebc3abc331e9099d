/// How clients show their identity.
public enum ClientAuthentication: String, Sendable, CaseIterable {
    /// A client certificate is asked for, and needed for every call but those anyone may make.
    case required
    /// Everyone is an administrator: on loopback only.
    case none
}
