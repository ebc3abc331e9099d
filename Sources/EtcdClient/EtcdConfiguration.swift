public import NIOCore
import OpenSSLTLS

/// etcd's addresses, the trusted authorities, and this client's identity.
public struct EtcdConfiguration: Sendable {
    /// 1 to 32, no two the same.
    public let members: [EtcdMember]
    let tls: TLSFiles?
    /// The client's own certificate; nil where it shows none.
    public var certificateFile: String? { tls?.certificateFile }
    let credentials: Credentials?

    /// For a member to be connected to and to say that it is there: address, TLS, HTTP/2 and password together.
    public var connectTimeout = TimeAmount.seconds(2)
    /// How long a member may be silent while something waits for it, until it is asked for a sign; etcd takes it amiss more
    /// often than every five seconds.
    public var keepAliveInterval = TimeAmount.seconds(10)
    /// For that sign.
    public var keepAliveTimeout = TimeAmount.seconds(3)
    /// A longer message ends its call or watch.
    public var maximumMessageBytes = 64 << 20
    /// Calls and watches that are not done; one more is refused.
    public var maximumCalls = 1_024
    /// Their requests together.
    public var maximumCallBytes = 64 << 20
    /// Told, in a sentence, when a member is connected to or lost, and when a file can't be read again; on the event loop, at
    /// most some times a second. It must not block.
    public var notice: @Sendable (String) -> Void = { _ in }

    private static let maximumMembers = 32

    /// `servers` as `https://HOST:PORT,...`, where the port may be left out; `http` for loopback alone. Of the pairs of files
    /// either both or none; a client certificate and a password may both be given. Throws an error that names the flag. Reads
    /// no file: see `checkFiles`.
    public init(
        servers: String, caFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil,
        username: String? = nil, passwordFile: String? = nil
    ) throws(EtcdConfigurationError) {
        var members: [EtcdMember] = []
        for text in servers.split(separator: ",", omittingEmptySubsequences: false) {
            let member = try EtcdMember(parsing: text)
            guard !members.contains(member) else { throw EtcdConfigurationError(.servers, "\(member) is there twice") }
            guard members.count < Self.maximumMembers else {
                throw EtcdConfigurationError(.servers, "there are more than \(Self.maximumMembers) members")
            }
            members.append(member)
        }
        self.members = members
        try Self.checkPair(.certificateFile, certificateFile, .keyFile, keyFile)
        try Self.checkPair(.username, username, .passwordFile, passwordFile)
        if let username, let passwordFile {
            credentials = Credentials(username: username, passwordFile: passwordFile)
        } else {
            credentials = nil
        }
        if let secure = members.first(where: \.isSecure) {
            guard let caFile else {
                throw EtcdConfigurationError(.caFile, "it must name the authority of the certificate of \(secure)")
            }
            tls = TLSFiles(caFile: caFile, certificateFile: certificateFile, keyFile: keyFile)
        } else {
            for (flag, file) in [(EtcdConfigurationError.Flag.caFile, caFile), (.certificateFile, certificateFile)]
            where file != nil {
                throw EtcdConfigurationError(flag, "it is of no use, as no member is https")
            }
            tls = nil
        }
    }

    private static func checkPair(
        _ first: EtcdConfigurationError.Flag, _ firstFile: String?, _ second: EtcdConfigurationError.Flag,
        _ secondFile: String?
    ) throws(EtcdConfigurationError) {
        if firstFile != nil, secondFile == nil { throw EtcdConfigurationError(second, "\(first) needs it") }
        if firstFile == nil, secondFile != nil { throw EtcdConfigurationError(first, "\(second) needs it") }
    }

    /// Reads all files, so that a start can be refused for them. Blocks. Later each connection reads them anew.
    public func checkFiles() throws(EtcdConfigurationError) {
        if let tls {
            do throws(TLSError) {
                _ = try tls.context(for: members[0])
            } catch {
                throw EtcdConfigurationError(tls.flag(for: error), error.message)
            }
        }
        if let credentials { _ = try credentials.read() }
    }
}
