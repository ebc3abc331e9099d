import Addressing

extension IPAddress {
    /// `127.0.0.1:8443`, `[::1]:8443`.
    func text(withPort port: Int) -> String {
        family == .ipv4 ? "\(self):\(port)" : "[\(self)]:\(port)"
    }
}
