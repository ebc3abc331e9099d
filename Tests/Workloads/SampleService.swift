public import Addressing
public import DualStack
public import TandemAPI

/// The call that clients make most: a dual-stack Service is to get its addresses. Everything that is measured of the
/// rules and of JSON is measured on it.
public enum SampleService {
    /// The message, as the load generator sends it.
    public static func message(_ number: Int = 1) -> [UInt8] {
        Array(
            #"{"jsonrpc":"2.0","id":\#(number),"method":"AllocateServiceIPs","params":{"service":{"metadata":{"namespace":"default","name":"web-\#(number)"},"spec":{"ipFamilyPolicy":"PreferDualStack"}}}}"#
                .utf8)
    }

    /// A message decoded, as far as the Service in it.
    public static func decode(_ message: [UInt8]) -> Service {
        guard case .single(let request) = message.withUnsafeBytes({ RPCMessage(parsing: $0) }),
            case .success(let call) = request.call, case .allocateServiceIPs(let service) = call.body
        else { preconditionFailure("the sample call is not read as one") }
        return service
    }

    public static let rules = ServiceRules(clusterFamilies: [.ipv4, .ipv6])
    public static let addresses = [IPAddress("10.96.80.100")!, IPAddress("fd00:10:96::8ebe")!]

    private static let claimed: Few<IPAddress?> = Few(addresses)

    /// The rules' part of a call: the claims, and the resulting Service.
    public static func decide(_ asked: Service) -> Service {
        do throws(APIError) {
            let plan = try rules.create(asked)
            precondition(plan.claims.count == 2, "two addresses are to be claimed")
            return try plan.completed(with: claimed).service
        } catch {
            preconditionFailure("the sample call is refused: \(error)")
        }
    }

    /// The Service as it is served.
    public static let decided: Service = {
        var service = decide(decode(message()))
        service.metadata.uid = "0b5bd6f6-3b0c-4c5e-8d3a-2b1f6d1f0a11"
        service.metadata.resourceVersion = "123456"
        service.metadata.creationTimestamp = "2026-11-24T09:00:00Z"
        return service
    }()

    /// The answer: the Service in its envelope.
    public static func encode(_ service: Service) -> [UInt8] {
        RPCReply(id: id, .success(.service(service.write))).bytes
    }

    private static let id: JSONText = {
        guard case .single(let request) = message().withUnsafeBytes({ RPCMessage(parsing: $0) }), let id = request.id
        else { preconditionFailure("the sample call has an id") }
        return id
    }()
}
