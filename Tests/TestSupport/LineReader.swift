public import Foundation

/// Lines of a pipe, one by one; blocks until one is there.
public final class LineReader {
    private let handle: FileHandle
    private var rest = Data()

    public init(_ handle: FileHandle) {
        self.handle = handle
    }

    public func next() -> String? {
        while true {
            if let newline = rest.firstIndex(of: 0x0A) {
                let line = String(decoding: rest[..<newline], as: UTF8.self)
                rest = Data(rest[(newline + 1)...])
                return line
            }
            let more = handle.availableData
            guard !more.isEmpty else { return nil }
            rest += more
        }
    }
}
