/// How clients show their identity.
public enum ClientAuthentication: String, Sendable, CaseIterable {
    /// A client certificate is asked for, and needed for every call but those that any client may make.
    case required
    /// Every client is an administrator: on loopback only.
    case none
}
