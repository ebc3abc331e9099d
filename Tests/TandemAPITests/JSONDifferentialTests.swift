import Foundation
import TandemAPI
import TestSupport
import Testing

/// Holds the reader and the writer to Foundation, on random values and on random damage to their texts.
@Suite("JSON against Foundation")
struct JSONDifferentialTests {
    @Test("Foundation reads written text as the same value", arguments: seeds)
    func writesWhatFoundationReads(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<500 {
            let value = randomValue(&generator, depth: 0)
            let bytes = value.text.bytes
            let read = try JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
            #expect(matches(value, read), "seed \(seed): \(value.text)")
            #expect(try JSONValue(parsing: bytes) == value, "seed \(seed)")
        }
    }

    @Test(
        "texts that Foundation refuses are refused, and those it accepts are accepted, but for its leniences",
        arguments: seeds)
    func agreesOnDamage(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var taken = 0
        for _ in 0..<3000 {
            var bytes = randomValue(&generator, depth: 1).text.bytes
            for _ in 0..<Int.random(in: 1...2, using: &generator) where !bytes.isEmpty {
                let index = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes.remove(at: index)
                case 1: bytes[index] = Array("{}[],:\"\\0123eE+-.tfnu \u{1}".utf8).randomElement(using: &generator)!
                default: bytes.insert(Array("{}[],:\"\\019e-.".utf8).randomElement(using: &generator)!, at: index)
                }
            }
            let theirs = try? JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
            let ours = try? JSONValue(parsing: bytes)
            if let ours, let theirs {
                taken += 1
                #expect(matches(ours, theirs), "seed \(seed): \(String(decoding: bytes, as: UTF8.self))")
            } else if ours == nil, theirs != nil {
                // Foundation takes some texts that RFC 8259 does not; each must show one of these marks.
                #expect(isLenience(bytes), "seed \(seed): \(String(decoding: bytes, as: UTF8.self))")
            } else if ours != nil {
                // Foundation refuses numbers that no double holds; RFC 8259 sets no range.
                #expect(bytes.contains(UInt8(ascii: "e")) || bytes.contains(UInt8(ascii: "E")), "seed \(seed)")
            }
        }
        #expect(taken > 0)
    }

    private func isLenience(_ bytes: [UInt8]) -> Bool {
        // Control characters, some escapes, and a comma before the end of an array or object.
        let dense = bytes.filter { $0 != UInt8(ascii: " ") }
        return bytes.contains { $0 < 0x20 } || bytes.contains(UInt8(ascii: "\\"))
            || zip(dense, dense.dropFirst()).contains {
                $0 == UInt8(ascii: ",") && ($1 == UInt8(ascii: "]") || $1 == UInt8(ascii: "}"))
            }
    }

    private func randomValue(_ generator: inout SeededGenerator, depth: Int) -> JSONValue {
        switch Int.random(in: 0..<(depth < 4 ? 8 : 5), using: &generator) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &generator))
        case 2: return .number(String(Int.random(in: -1_000_000...1_000_000, using: &generator)))
        case 3: return .number("\(Int.random(in: 0...99, using: &generator)).5e-3")
        case 4: return .string(randomString(&generator))
        case 5, 6:
            return .array(
                (0..<Int.random(in: 0...4, using: &generator)).map { _ in randomValue(&generator, depth: depth + 1) })
        default:
            var object = JSONObject()
            for _ in 0..<Int.random(in: 0...4, using: &generator) {
                object[randomString(&generator)] = randomValue(&generator, depth: depth + 1)
            }
            return .object(object)
        }
    }

    private func randomString(_ generator: inout SeededGenerator) -> String {
        let alphabet: [Character] = [
            "a", "Z", "0", "\"", "\\", "/", "\n", "\u{1}", "é", "日", "\u{1F600}", " ", "\u{7f}",
        ]
        return String(
            (0..<Int.random(in: 0...12, using: &generator)).map { _ in alphabet.randomElement(using: &generator)! })
    }

    private func matches(_ ours: JSONValue, _ theirs: Any) -> Bool {
        switch ours {
        case .null: theirs is NSNull
        case .bool(let value): (theirs as? Bool) == value
        case .number(let digits):
            (theirs as? NSNumber).map { $0.doubleValue == Double(digits) } ?? false
        case .string(let value): (theirs as? String).map { Array($0.utf8) == Array(value.utf8) } ?? false
        case .array(let values):
            (theirs as? [Any]).map { $0.count == values.count && zip(values, $0).allSatisfy(matches) } ?? false
        case .object(let object):
            (theirs as? [String: Any]).map { other in
                other.count == object.members.count
                    && object.members.allSatisfy { name, value in other[name].map { matches(value, $0) } ?? false }
            } ?? false
        }
    }
}
