import Histories
import TandemAPI

@testable import IPAM

extension RecordedCall {
    /// `flag` chooses one of two updates.
    static func call(_ act: Act, _ name: String, _ flag: Bool) -> Call {
        let metadata = ObjectMeta(namespace: "default", name: name)
        var spec = ServiceSpec()
        switch act {
        case .allocate: return Call(.allocateServiceIPs, .allocateServiceIPs(Service(metadata: metadata, spec: spec)))
        case .update:
            spec.type = flag ? "NodePort" : "ClusterIP"
            var ports = JSONReader.ports
            swap(&spec.ports, &ports)
            return Call(.updateServiceIPs, .updateServiceIPs(Service(metadata: metadata, spec: spec)))
        case .release: return Call(.release, .release(.service(metadata)))
        case .read: return Call(.getService, .getService(metadata))
        }
    }

    static func outcome(_ act: RecordedCall.Act, _ result: Result<CallResult, APIError>?) -> Outcome {
        switch result {
        case .success(let result):
            guard let json = try? JSONValue(parsing: result.json) else { return .other("no JSON") }
            return outcome(act, .success(json))
        case .failure(let error): return outcome(act, Result<JSONValue, APIError>.failure(error))
        case nil: return .other("nothing")
        }
    }
}

extension JSONReader {
    fileprivate static var ports: ServicePorts? {
        try? JSONReader.read(Array(#"[{"port":80}]"#.utf8)) { reader throws(JSONError) in
            try ServicePorts(from: &reader)
        }
    }
}
