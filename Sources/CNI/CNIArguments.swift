import Addressing
import TandemAPI

/// `CNI_ARGS`: `KEY=VALUE` pairs with semicolons between.
struct CNIArguments {
    var podNamespace: String?
    var podName: String?
    var podUID: String?
    /// `IP`: the address wanted, or one of each family with a comma between.
    var addresses: [IPAddress] = []

    init() {}

    /// For DEL: the pod's uid if it can be read, whatever else is wrong.
    init(ofDelete text: String) {
        let key = "K8S_POD_UID="
        podUID = text.split(separator: ";").last { $0.hasPrefix(key) }.map { String($0.dropFirst(key.count)) }
        if podUID?.isEmpty ?? false { podUID = nil }
    }

    init(_ text: String) throws(CNIError) {
        var unknown: [String] = []
        var ignoresUnknown = false
        for pair in text.split(separator: ";") {
            guard let equals = pair.firstIndex(of: "="), equals > pair.startIndex else {
                throw .environment("CNI_ARGS", "\"\(pair)\" is no KEY=VALUE")
            }
            let (key, value) = (String(pair[..<equals]), String(pair[pair.index(after: equals)...]))
            let given = value.isEmpty ? nil : value
            switch key {
            case "IgnoreUnknown": ignoresUnknown = ["1", "true", "True", "TRUE", "t", "T"].contains(value)
            case "K8S_POD_NAMESPACE": podNamespace = given
            case "K8S_POD_NAME": podName = given
            case "K8S_POD_UID": podUID = given
            case "K8S_POD_INFRA_CONTAINER_ID": break
            case "IP":
                for part in value.split(separator: ",") {
                    guard let address = RequestedAddress.parse(part) else {
                        throw .environment("CNI_ARGS", "IP=\(value): \(RequestedAddress.fault(part))")
                    }
                    addresses.append(address)
                }
            default: unknown.append(key)
            }
        }
        guard unknown.isEmpty || ignoresUnknown else {
            throw .environment(
                "CNI_ARGS", "\(unknown.joined(separator: ", ")): not known here; IgnoreUnknown=1 lets them pass")
        }
    }
}

/// An address that is asked for, as CNI's conventions write it: with a prefix length behind it or without.
///
/// The length says nothing here: an address is always used in the length of its node's pod CIDR.
enum RequestedAddress {
    static func parse(_ text: some StringProtocol) -> IPAddress? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let address = IPAddress(String(parts[0])) else { return nil }
        if parts.count == 2 {
            guard let length = Int(parts[1]), (0...address.family.addressBits).contains(length) else { return nil }
        }
        return address
    }

    static func fault(_ text: some StringProtocol) -> String {
        "\"\(text)\" is no IP address, such as 10.244.1.7, 10.244.1.7/24 or fd00:10:244:1::7"
    }
}
