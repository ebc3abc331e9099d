import TandemAPI

/// The characters of names: RFC 1123, as Kubernetes restricts it.
enum DNSName {
    static let label1123Rule =
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', must start and end with an "
        + "alphanumeric character, and must be no more than 63 characters"
    static let subdomainRule =
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', must start and end "
        + "with an alphanumeric character, and must be no more than 253 characters"

    static func isLabel1123(_ name: String) -> Bool {
        var name = name
        return name.withUTF8 { name in
            guard (1...63).contains(name.count), isAlphanumeric(name[0]), isAlphanumeric(name[name.count - 1]) else {
                return false
            }
            for byte in name where !isAlphanumeric(byte) && byte != UInt8(ascii: "-") { return false }
            return true
        }
    }

    /// Labels with dots between; here the length of the whole counts, not that of each label.
    static func isSubdomain(_ name: some StringProtocol) -> Bool {
        guard (1...253).contains(name.utf8.count) else { return false }
        return name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { label in
            guard let first = label.first, let last = label.last else { return false }
            return isAlphanumeric(first) && isAlphanumeric(last)
                && label.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
        }
    }

    static let qualifiedRule =
        "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
        + "character, at most 63, with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"

    /// A name of its own kind, perhaps behind a subdomain and a slash.
    static func isQualified(_ name: String) -> Bool {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let last = parts.last?.utf8, parts.count == 1 || isSubdomain(parts[0]) else {
            return false
        }
        guard (1...63).contains(last.count), let first = last.first, let end = last.last else { return false }
        return isLetterOrDigit(first) && isLetterOrDigit(end)
            && last.allSatisfy {
                isLetterOrDigit($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".")
            }
    }

    static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
    }

    /// In lower case.
    @inline(__always)
    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        byte &- UInt8(ascii: "a") < 26 || byte &- UInt8(ascii: "0") < 10
    }
}

/// The faults of an object's names: "a name must be a valid DNS label (Services, namespaces) or subdomain (nodes,
/// pods)", a Service's by RFC 1123 as of Kubernetes 1.34, where it may begin with a digit; a uid, where one is given, is a short word.
func nameFaults(of metadata: ObjectMeta, kind: ObjectKind) -> APIError.Causes {
    var faults = APIError.Causes()
    if metadata.name.isEmpty {
        let hint =
            metadata.others["generateName"] == nil
            ? "the object needs a name"
            : "generateName is not supported: a retry could not find the created object; give a name"
        faults.append(.required("metadata.name", hint))
    } else if kind == .service ? !DNSName.isLabel1123(metadata.name) : !DNSName.isSubdomain(metadata.name) {
        faults.append(
            .invalid("metadata.name", metadata.name, kind == .service ? DNSName.label1123Rule : DNSName.subdomainRule))
    }
    if kind.isNamespaced, !DNSName.isLabel1123(metadata.namespace) {
        faults.append(.invalid("metadata.namespace", metadata.namespace, DNSName.label1123Rule))
    }
    if case .other(let uid) = metadata.uid, uid.utf8.count > 128 || !uid.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) {
        faults.append(
            .invalid("metadata.uid", uid, "must be at most 128 printable ASCII characters without white space"))
    }
    return faults
}
