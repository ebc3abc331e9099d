import ClientOptions
import Glibc

/// Another program that has this one's terminal while it runs.
enum Child {
    /// Its exit status; 128 and the signal where one ended it. Throws `UsageError` where it can't be started. Blocks.
    static func run(_ words: [String]) throws -> Int32 {
        fflush(nil)
        // Ctrl-C is for it alone meanwhile; a handler, unlike SIG_IGN, is not handed on.
        let handler = signal(SIGINT) { _ in }
        defer { signal(SIGINT, handler) }
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var child: pid_t = 0
        let failure = posix_spawnp(&child, words[0], nil, nil, &arguments, environ)
        guard failure == 0 else {
            throw UsageError("\(words[0]) can't be started: \(String(cString: strerror(failure)))")
        }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7F
        return signal == 0 ? (status >> 8) & 0xFF : 128 + signal
    }

    /// A folder of its own that goes when the work is done. Blocks.
    static func withFolder<Value>(_ body: (String) throws -> Value) throws -> Value {
        var template = Array("\(ProcessEnvironment["TMPDIR"] ?? "/tmp")/tandemctl-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw UsageError("no temporary folder can be made: \(String(cString: strerror(errno)))")
        }
        let folder = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        defer { remove(folder) }
        return try body(folder)
    }

    /// It is two levels deep at most, and all in it is this program's.
    private static func remove(_ folder: String) {
        guard let directory = opendir(folder) else { return }
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name != ".", name != ".." else { continue }
            if unlink("\(folder)/\(name)") != 0 { remove("\(folder)/\(name)") }
        }
        closedir(directory)
        rmdir(folder)
    }
}
