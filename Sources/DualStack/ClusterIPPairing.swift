import Addressing
import TandemAPI

/// `spec.clusterIP` beside `spec.clusterIPs`.
///
/// "If this field is not specified, it will be initialized from the clusterIP field. If this field is specified,
/// clients must ensure that clusterIPs[0] and clusterIP have the same value." (field `clusterIPs`)
extension ServiceDraft {
    /// A write that leaves out allocated addresses keeps them: the manifest that created a Service can be sent again.
    mutating func keepAllocatedIPs() {
        guard let old = stored?.spec, old.takesFamilies, spec.takesFamilies else { return }
        if spec.clusterIP.isEmpty { spec.clusterIP = old.clusterIP }
        if spec.clusterIPs.isEmpty { spec.clusterIPs = old.clusterIPs }
    }

    /// Follows the one of the two fields that the client changed, as for a client that knows `clusterIP` alone.
    mutating func pairClusterIPs() {
        guard let old = stored?.spec else {
            if !spec.clusterIP.isEmpty, spec.clusterIPs.isEmpty { spec.clusterIPs = [spec.clusterIP] }
            return
        }
        if spec.clusterIP == old.clusterIP {
            if spec.clusterIPs.isEmpty { spec.clusterIPs = old.clusterIPs }
        } else if spec.clusterIPs == old.clusterIPs {
            spec.clusterIPs = spec.clusterIP.isEmpty ? [] : [spec.clusterIP]
        }
    }
}
