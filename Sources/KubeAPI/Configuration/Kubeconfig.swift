import Foundation
import TandemAPI
import YAMLDocuments

/// Reads a kubeconfig, without its files.
struct Kubeconfig {
    /// For words.
    private let file: String
    private let root: JSONValue

    private init(_ file: String, _ root: JSONValue) {
        self.file = file
        self.root = root
    }

    /// `text` as it is in `file`; paths in it are relative to where the file is.
    static func read(_ text: [UInt8], _ file: String, context: String?) throws(KubeConfigurationError)
        -> KubeConfiguration
    {
        let documents: [JSONValue]
        do throws(YAMLFault) {
            documents = try YAMLDocuments.read(text)
        } catch {
            throw KubeConfigurationError("\(file): \(error)")
        }
        guard documents.count == 1, documents[0].objectValue != nil else {
            throw KubeConfigurationError(
                "\(file) is no kubeconfig: it must have one document with clusters, users and contexts")
        }
        return try Kubeconfig(file, documents[0]).configuration(context)
    }

    private func configuration(_ wanted: String?) throws(KubeConfigurationError) -> KubeConfiguration {
        guard let name = wanted ?? text(root["current-context"]) else {
            throw fault("it has no current-context; set one by kubectl config use-context")
        }
        let context = try entry("contexts", "context", name)
        guard let clusterName = text(context["cluster"]) else { throw fault("the context \(name) names no cluster") }
        let cluster = try entry("clusters", "cluster", clusterName)
        let userName = text(context["user"])
        let user = try userName.map { name throws(KubeConfigurationError) in try entry("users", "user", name) } ?? [:]
        let who = "the user \(userName ?? "")"
        for (member, words) in Self.refused where user[member].map({ $0 != .null }) ?? false {
            throw fault("\(who) has \(member), which \(words)")
        }
        if text(cluster["proxy-url"]) != nil {
            throw fault(
                "the cluster \(clusterName) has proxy-url, which is not supported; give the server's own address")
        }
        guard let server = text(cluster["server"]), let address = ServerURL(server) else {
            throw fault("the cluster \(clusterName) has no server of the form https://HOST:PORT")
        }
        // It goes into a header.
        if let token = text(user["token"]), !TokenSource.isToken(token) {
            throw fault("\(who) has a token that is none")
        }
        let certificate = try pem(user, "client-certificate", who)
        let key = try pem(user, "client-key", who)
        guard (certificate == nil) == (key == nil) else {
            throw fault("\(who) needs both of client-certificate and client-key, or neither")
        }
        let authority: TLSMaterial.Authority
        let given = try pem(cluster, "certificate-authority", "the cluster \(clusterName)")
        switch (cluster["insecure-skip-tls-verify"]?.boolValue ?? false, given) {
        case (true, .some):
            throw fault(
                "the cluster \(clusterName) has both insecure-skip-tls-verify and a certificate-authority; leave the first out"
            )
        case (true, nil): authority = .none
        case (false, let given): authority = given.map { .given($0) } ?? .system
        }
        return KubeConfiguration(
            address: address, namespace: text(context["namespace"]) ?? "default",
            tls: TLSMaterial(
                authority: authority, certificate: certificate, key: key, serverName: text(cluster["tls-server-name"])),
            token: TokenSource(token(user)))
    }

    /// Settings without which this client would be another user.
    private static let refused = [
        (
            "exec",
            "runs a program for each token; this client runs none: give token, tokenFile or a client certificate, "
                + "such as those of a service account"
        ),
        (
            "auth-provider",
            "this client does not have; give token, tokenFile or a client certificate, such as those of a "
                + "service account"
        ),
        ("username", "is a password, which API servers no longer take; give token, tokenFile or a client certificate"),
        ("as", "is not supported; give the credentials of whom to act as"),
    ]

    private func entry(_ list: String, _ member: String, _ name: String) throws(KubeConfigurationError) -> JSONValue {
        guard let found = root[list]?.arrayValue?.first(where: { text($0["name"]) == name }),
            let value = found[member], value.objectValue != nil
        else { throw fault("its \(list) have no \(name)") }
        return value
    }

    /// The bytes count where both are there, as `kubectl` has it.
    private func pem(_ object: JSONValue, _ name: String, _ who: String) throws(KubeConfigurationError) -> TLSMaterial
        .PEM?
    {
        if let data = text(object["\(name)-data"]) {
            guard let bytes = Data(base64Encoded: data, options: .ignoreUnknownCharacters), !bytes.isEmpty else {
                throw fault("\(who): \(name)-data is no base64")
            }
            return .bytes([UInt8](bytes), name: "\(name)-data of \(who) in \(file)")
        }
        return text(object[name]).map { .file(absolute($0)) }
    }

    private func token(_ user: JSONValue) -> TokenSource.Kind {
        if let path = text(user["tokenFile"]) { return .file(absolute(path)) }
        return text(user["token"]).map { .fixed($0) } ?? .none
    }

    private func absolute(_ path: String) -> String {
        URL(fileURLWithPath: path, relativeTo: URL(fileURLWithPath: file).deletingLastPathComponent()).path
    }

    /// nil where it is empty, as kubectl writes unset members.
    private func text(_ value: JSONValue?) -> String? {
        switch value {
        case .string(let text): text.isEmpty ? nil : text
        // A name, or a token, that YAML takes for a number.
        case .number(let digits): digits
        default: nil
        }
    }

    private func fault(_ words: String) -> KubeConfigurationError { KubeConfigurationError("\(file): \(words)") }
}

extension KubeConfiguration {
    /// That of a file as `kubectl` has it; of its current context, or of the one named. Reads this file alone; blocks.
    ///
    /// `exec`, `auth-provider`, passwords, impersonation and proxies are refused.
    public static func kubeconfig(_ file: String, context: String? = nil) throws(KubeConfigurationError)
        -> KubeConfiguration
    {
        guard let handle = FileHandle(forReadingAtPath: file), let bytes = try? handle.read(upToCount: maximumFileBytes)
        else { throw KubeConfigurationError("can't read \(file)") }
        return try Kubeconfig.read([UInt8](bytes), file, context: context)
    }

    private static let maximumFileBytes = 4 << 20

    /// That of the pod in which this process runs: `environment` has `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`, and
    /// the directory `token`, `ca.crt` and `namespace`. Reads the last of them; blocks.
    public static func inCluster(
        _ environment: [String: String], directory: String = "/var/run/secrets/kubernetes.io/serviceaccount"
    ) throws(KubeConfigurationError) -> KubeConfiguration {
        guard let host = environment["KUBERNETES_SERVICE_HOST"], !host.isEmpty,
            let port = environment["KUBERNETES_SERVICE_PORT"].flatMap({ UInt16($0) })
        else {
            throw KubeConfigurationError(
                "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set, as they are in a pod; outside of one give --kubeconfig"
            )
        }
        guard FileManager.default.isReadableFile(atPath: "\(directory)/token") else {
            throw KubeConfigurationError(
                "can't read \(directory)/token: the pod's automountServiceAccountToken may be false; outside of a pod give --kubeconfig"
            )
        }
        let text = (try? String(contentsOfFile: "\(directory)/namespace", encoding: .utf8)) ?? ""
        let namespace = text.trimmingCharacters(in: .whitespacesAndNewlines)
        return KubeConfiguration(
            address: ServerURL(host: host, port: Int(port)), namespace: namespace.isEmpty ? "default" : namespace,
            tls: TLSMaterial(authority: .given(.file("\(directory)/ca.crt"))),
            token: TokenSource(.file("\(directory)/token")))
    }
}
