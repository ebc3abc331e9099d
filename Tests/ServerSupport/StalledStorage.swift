import Foundation
import TestSupport

/// Storage that does not answer, as on a disk that hangs: the one thread of a server that uses it stands still for as long
/// as the test wants, and all others go on. It is stopped as a debugger would, so that nothing in the server knows of it,
/// and the server can still be killed.
public final class StalledStorage {
    /// Whether one process may stop a thread of another here.
    public static let isAllowed: Bool = {
        let other = Process()
        other.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        other.arguments = ["sleep", "60"]
        guard (try? other.run()) != nil else { return false }
        defer { kill(other.processIdentifier, SIGKILL) }
        return (try? StalledStorage(other.processIdentifier, thread: nil)) != nil
    }()

    public struct NotStopped: Error {}

    private let process = Process()
    private let input = Pipe()

    /// Returns once it stands still.
    public convenience init(_ server: ServerProcess) throws {
        try self.init(server.processID, thread: "tandem-journal")
    }

    /// Without a name, the process' first thread.
    private init(_ id: pid_t, thread: String?) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", "-c", Self.program, String(id)] + (thread.map { [$0] } ?? [])
        let output = Pipe()
        process.standardInput = input
        process.standardOutput = output
        try Children.start(process)
        guard LineReader(output.fileHandleForReading).next() == "stopped" else {
            process.waitUntilExit()
            throw NotStopped()
        }
    }

    deinit { goOn() }

    /// Returns once the thread runs again, or is gone.
    public func goOn() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    private static let program = """
        import ctypes, os, select, sys
        libc = ctypes.CDLL(None, use_errno=True)
        libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        SEIZE, INTERRUPT, CONTINUE, DETACH, ANY_THREAD = 0x4206, 0x4207, 7, 17, 0x40000000
        process = int(sys.argv[1])
        folder = f"/proc/{process}/task"
        def name(task):
            try: return open(f"{folder}/{task}/comm").read().strip()
            except OSError: return ""  # A thread that has ended since it was listed.
        thread = None if sys.argv[2:] else process
        while thread is None:
            # A thread has its name once it has run for the first time, which may be after the server is ready.
            thread = next((int(t) for t in os.listdir(folder) if name(t) == sys.argv[2]), None)
            if thread is None: select.select([], [], [], 0.01)
        def ptrace(request):
            if libc.ptrace(request, thread, None, None) < 0: sys.exit(os.strerror(ctypes.get_errno()))
        ptrace(SEIZE)
        while True:
            ptrace(INTERRUPT)
            os.waitpid(thread, ANY_THREAD)
            # In a system call it waits for work or for the disk; elsewhere it may hold a lock that others need.
            if not open(f"{folder}/{thread}/syscall").read().startswith("-1"): break
            ptrace(CONTINUE)
        print("stopped", flush=True)
        # A thread that was killed is not gone before this has seen its end, nor is its process.
        while not select.select([sys.stdin], [], [], 0.02)[0]:
            if os.waitpid(thread, ANY_THREAD | os.WNOHANG) != (0, 0): sys.exit()
        ptrace(DETACH)
        """
}
