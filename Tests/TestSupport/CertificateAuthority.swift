import Foundation

/// The authority of the tests' certificates, for such as `certs/generate.sh` does not make: expired, revoked, for another
/// purpose. By `openssl ca`; its certificates lie beside the others, so that clients find it as a role.
public struct CertificateAuthority {
    private let directory: String
    public let certificate: String
    private let key: String

    /// Issues for the tests' own authority, unless it is told to be another.
    public init(_ scratch: ScratchDirectory, other: Bool = false) {
        let directory = scratch.path + "/ca-\(UUID().uuidString)"
        let shared = Certificates.shared
        let (certificate, key) =
            other ? ("\(directory)/ca.crt", "\(directory)/ca.key") : (shared.ca, "\(shared.directory)/ca.key")
        self.init(directory, certificate, key)
        guard other else { return }
        run([
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out",
            certificate, "-subj", "/CN=another authority", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        ])
    }

    /// One that this one has signed.
    public func subordinate(_ scratch: ScratchDirectory) -> CertificateAuthority {
        let role = "intermediate-\(UUID().uuidString)"
        issue(role, user: "an intermediate authority", constraints: "CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign")
        let shared = Certificates.shared
        return CertificateAuthority("\(scratch.path)/\(role)", shared.certificate(role), shared.key(role))
    }

    private init(_ directory: String, _ certificate: String, _ key: String) {
        (self.directory, self.certificate, self.key) = (directory, certificate, key)
        try? FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        write("index.txt", "")
        write("index.txt.attr", "unique_subject = no\n")
        write("crlnumber", "01\n")
        write(
            "ca.cnf",
            """
            [ca]
            default_ca = here
            [here]
            dir = \(directory)
            database = \(directory)/index.txt
            crlnumber = \(directory)/crlnumber
            new_certs_dir = \(directory)
            certificate = \(certificate)
            private_key = \(key)
            default_md = sha256
            default_days = 30
            default_crl_days = 30
            rand_serial = yes
            policy = any
            [any]
            organizationName = optional
            commonName = optional
            """)
    }

    /// Makes a client's certificate under a role's name, valid in the years given, or for so many seconds more. A whole `subject`
    /// takes the place of user and group; of a server, `names` are its subjectAltName.
    public func issue(
        _ role: String, user: String = "admin", group: String = "tandem:admin", subject: String? = nil,
        purpose: String = "clientAuth", years: ClosedRange<Int> = 2020...2090, secondsLeft: Int? = nil,
        constraints: String = "CA:FALSE", names: String? = nil,
        key: [String] = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], digest: String = "sha256"
    ) {
        let shared = Certificates.shared
        let usage = constraints == "CA:FALSE" ? "extendedKeyUsage=\(purpose)\n" : ""
        let alternatives = names.map { "subjectAltName=\($0)\n" } ?? ""
        write("\(role).ext", "basicConstraints=critical,\(constraints)\n\(usage)\(alternatives)")
        let end = secondsLeft.map(Self.end) ?? "\(years.upperBound)0101000000Z"
        run(
            [
                "req", "-new", "-nodes", "-keyout", shared.key(role), "-out", "\(directory)/\(role).csr", "-subj",
                subject ?? "/O=\(group)/CN=\(user)", "-newkey",
            ] + key)
        run([
            "ca", "-batch", "-md", digest, "-notext", "-config", "\(directory)/ca.cnf", "-in",
            "\(directory)/\(role).csr", "-out",
            shared.certificate(role), "-extfile", "\(directory)/\(role).ext", "-startdate",
            "\(years.lowerBound)0101000000Z", "-enddate", end,
        ])
    }

    private static func end(secondsFromNow: Int) -> String {
        var (now, parts) = (time(nil) + secondsFromNow, tm())
        gmtime_r(&now, &parts)
        var text = [CChar](repeating: 0, count: 32)
        strftime(&text, text.count, "%Y%m%d%H%M%SZ", &parts)
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
    }

    public func revoke(_ role: String) {
        revoke(certificate: Certificates.shared.certificate(role))
    }

    public func revoke(_ authority: CertificateAuthority) {
        revoke(certificate: authority.certificate)
    }

    private func revoke(certificate: String) {
        run(["ca", "-config", "\(directory)/ca.cnf", "-revoke", certificate])
    }

    /// The list as it is now, put in place of the file in one step; one for the year given, else for 30 days.
    public func writeRevocations(_ file: String, ofYear year: Int? = nil) {
        let dates = year.map {
            ["-crl_lastupdate", "\($0)0101000000Z", "-crl_nextupdate", "\($0 + 1)0101000000Z"]
        }
        run(["ca", "-config", "\(directory)/ca.cnf", "-gencrl", "-out", "\(file).new"] + (dates ?? []))
        rename("\(file).new", file)
    }

    /// Has the holder of a role show this authority's certificate as well.
    public func join(_ role: String) throws {
        let file = Certificates.shared.certificate(role)
        let chain = try [file, certificate].map { try String(contentsOfFile: $0, encoding: .utf8) }.joined()
        try chain.write(toFile: file, atomically: true, encoding: .utf8)
    }

    private func write(_ name: String, _ text: String) {
        _ = FileManager.default.createFile(atPath: "\(directory)/\(name)", contents: Data(text.utf8))
    }

    private func run(_ arguments: [String]) {
        let result = Command.run("openssl", arguments)
        precondition(result.status == 0, "openssl \(arguments): \(result.errors)")
    }
}
