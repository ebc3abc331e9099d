/// The readers of bytes from strangers, each with its invariants for any input. A breach ends the process, so that a
/// fuzzer sees it.
public enum FuzzTarget: String, CaseIterable, Sendable {
    case json, envelope, lines, service, pod, node, address, entry, protobuf, grpc, http, yaml, cni

    public func run(_ input: UnsafeRawBufferPointer) {
        switch self {
        case .json: Self.json(input)
        case .envelope: Self.envelope(input)
        case .lines: Self.lines(input)
        case .service: Self.service(input)
        case .pod: Self.pod(input)
        case .node: Self.node(input)
        case .address: Self.address(input)
        case .entry: Self.entry(input)
        case .protobuf: Self.protobuf(input)
        case .grpc: Self.grpc(input)
        case .http: Self.http(input)
        case .yaml: Self.yaml(input)
        case .cni: Self.cni(input)
        }
    }

    public func run(_ input: [UInt8]) {
        input.withUnsafeBytes(run)
    }
}
