import CNI
import Glibc

/// The plugin's process. It runs once for each pod, so that it links nothing that it does not need.
@main
enum TandemCNI {
    static func main() {
        if CommandLine.arguments.count > 1 { return describe(CommandLine.arguments[1]) }
        // A server that goes away is an error to be told, not a signal to die of.
        signal(SIGPIPE, SIG_IGN)
        let outcome = Plugin.run(variable: variable, read: readConfiguration)
        if !outcome.output.isEmpty { write(outcome.output + [UInt8(ascii: "\n")], to: STDOUT_FILENO) }
        // Everything is written: OpenSSL's clean-up, a twentieth of the process's time, is not needed.
        _exit(outcome.isSuccess ? 0 : 1)
    }

    private static func describe(_ argument: String) {
        switch argument {
        case "--help", "-h": write(Array(PluginHelp.text.utf8), to: STDOUT_FILENO)
        case "--version": write(Array("tandem-cni \(PluginHelp.version)\n".utf8), to: STDOUT_FILENO)
        default:
            write(
                Array("tandem-cni: takes no argument but --help and --version, not \(argument)\n".utf8),
                to: STDERR_FILENO)
            exit(2)
        }
    }

    private static func variable(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }

    private static func readConfiguration() throws(CNIError) -> [UInt8] {
        let limit = 1 << 20
        var (bytes, used) = ([UInt8](repeating: 0, count: 16_384), 0)
        while true {
            let count = bytes.withUnsafeMutableBytes { read(STDIN_FILENO, $0.baseAddress! + used, $0.count - used) }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else {
                throw CNIError(.ioFailure, "standard input can't be read: \(String(cString: strerror(errno)))")
            }
            if count == 0 { return Array(bytes[..<used]) }
            used += count
            guard used <= limit else { throw CNIError(.ioFailure, "the configuration is longer than \(limit) bytes") }
            if used == bytes.count { bytes += [UInt8](repeating: 0, count: used) }
        }
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + written, $0.count - written) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { exit(1) }
            written += count
        }
    }
}
