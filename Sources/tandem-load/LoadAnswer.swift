import TandemAPI

/// The parts of one call's answer that the harness reads: its id, its error, and the addresses as they are written.
struct LoadAnswer: Sendable {
    var id: Int
    /// The reason of a refusal.
    var error: String?
    /// The text of `spec.clusterIPs` or of `status.podIPs`.
    var addresses: [UInt8] = []

    /// The answers of one message: one, or those of a batch in its order.
    static func parse(_ message: UnsafeRawBufferPointer) throws(JSONError) -> [LoadAnswer] {
        var reader = JSONReader(message)
        guard try reader.peek() == .array else { return [try LoadAnswer(&reader)] }
        var answers: [LoadAnswer] = []
        try reader.beginArray()
        var count = 0
        while try reader.nextElement(&count) { answers.append(try LoadAnswer(&reader)) }
        return answers
    }

    private init(_ reader: inout JSONReader) throws(JSONError) {
        id = -1
        try reader.beginObject()
        var count = 0
        while let key = try reader.nextKey(&count) {
            switch key {
            case "id": if try !reader.skipNull() { id = try reader.readInt() }
            case "error": error = try reader.readValue()["data"]?["reason"]?.stringValue ?? "Unknown"
            case "result": try readResult(&reader)
            default: try reader.skipValue()
            }
        }
    }

    private mutating func readResult(_ reader: inout JSONReader) throws(JSONError) {
        try reader.beginObject()
        var count = 0
        while let key = try reader.nextKey(&count) {
            switch key {
            case "service", "pod": try readObject(&reader)
            default: try reader.skipValue()
            }
        }
    }

    private mutating func readObject(_ reader: inout JSONReader) throws(JSONError) {
        try reader.beginObject()
        var count = 0
        while let key = try reader.nextKey(&count) {
            switch key {
            case "spec", "status": try readAddresses(&reader)
            default: try reader.skipValue()
            }
        }
    }

    private mutating func readAddresses(_ reader: inout JSONReader) throws(JSONError) {
        try reader.beginObject()
        var count = 0
        while let key = try reader.nextKey(&count) {
            switch key {
            case "clusterIPs", "podIPs": addresses = try reader.readText().bytes
            default: try reader.skipValue()
            }
        }
    }
}
