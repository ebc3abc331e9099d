import OpenSSLTLS

/// The files of the trusted authorities and of this client's certificate.
struct TLSFiles: Sendable {
    let caFile: String
    /// Both or none.
    let certificateFile: String?
    let keyFile: String?

    /// Reads the files; blocks.
    func context(for member: EtcdMember) throws(TLSError) -> TLSContext {
        var identity: TLSIdentity?
        if let certificateFile, let keyFile {
            identity = TLSIdentity(certificateChainFile: certificateFile, privateKeyFile: keyFile)
        }
        return try TLSContext(
            client: TLSClientConfiguration(
                caFile: caFile, identity: identity, serverName: member.host, applicationProtocols: ["h2"]))
    }

    /// Which of the flags an error is about: messages name the file.
    func flag(for error: TLSError) -> EtcdConfigurationError.Flag {
        if let keyFile, error.message.contains(keyFile) { return .keyFile }
        if let certificateFile, error.message.contains(certificateFile) { return .certificateFile }
        return .caFile
    }
}
