import Addressing
import LineLogs
import Logging
import TandemAPI
import UnixSignals

/// User, change and time, and the addresses allocated and released: one JSON object a line, in a file that rotates.
///
/// Thread-safe; `note` never blocks: a thread of its own writes. Entries lost because too much waited or the disk was full are
/// counted, and the next line that can be written says how many.
final class AuditLog: Sendable {
    struct Entry: Sendable {
        var time: String
        var method: Method
        var id: JSONText?
        var identity: Identity?
        var peer: String?
        /// How many of the kind it stands for.
        var calls = 1
        var isDryRun = false
        /// The object of the call, such as `Service shop/web`.
        var object: String
        /// Of the answer no more than this is kept.
        var outcome: Result<AddressEffect, APIError>

        /// Its memory while it waits, roughly.
        var bytes: Int {
            let outcome =
                switch outcome {
                case .success(let effect): (effect.addresses.count + effect.podCIDRs.count + effect.released.count) * 32
                case .failure(let error): error.message.utf8.count
                }
            return 512 + object.utf8.count + (id?.bytes.count ?? 0) + outcome
        }
    }

    /// Entries that may wait, and the bytes that may be kept for them.
    private static let limit = 65_536
    private static let maximumBytes = 16 << 20

    /// The limits of one line for a client's input: texts in bytes, lists in elements.
    private static let maximumTextBytes = 1024
    private static let maximumIDBytes = 256
    private static let maximumGroups = 32
    private static let maximumAddresses = 1024

    let policy: AuditSettings.Policy
    /// Calls that their clients may not make change nothing, and may come without end: one entry a second stands for
    /// all of one user and method.
    let refusals = LineLimits()
    private let file: AuditFile
    /// nil: nothing but a look at the file.
    private let queue: BackgroundQueue<Entry?>

    /// Throws where the file can't be opened.
    init(_ settings: AuditSettings, logger: Logger) throws(RotatingFile.SystemError) {
        policy = settings.policy
        let file = AuditFile(
            try RotatingFile(settings.path, maximumBytes: settings.maximumBytes, backups: settings.backups), logger)
        self.file = file
        queue = BackgroundQueue(
            "tandem-audit", limit: Self.limit, maximumBytes: Self.maximumBytes, bytes: Self.bytes
        ) { entries in
            file.append(entries.lazy.compactMap { $0.map(Self.line) })
        }
    }

    private static func bytes(_ entry: Entry?) -> Int { entry?.bytes ?? 0 }

    func note(_ entry: Entry) {
        if !queue.submit(entry) { file.noteDropped() }
    }

    /// Goes on in a new file where the one at the path was moved or deleted, at once and not with the next entry. Never blocks.
    func follow() { queue.submit(nil) }

    /// On each of the signals, until the task is cancelled.
    func follow(on signals: UnixSignalsSequence) async {
        for await _ in signals { follow() }
    }

    var losses: AuditFile.Losses { file.losses }

    /// Returns when every entry is written, or after two seconds. Blocks.
    func flush() { queue.flush() }

    /// A cut text ends in …; `more` counts the addresses that are left out.
    static func line(_ entry: Entry) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        func member(_ name: String, _ value: String) {
            writer.key(text: name)
            writer.string(value.cut(toBytes: maximumTextBytes))
        }
        member("time", entry.time)
        member("user", entry.identity?.user ?? "")
        writer.key("groups")
        writer.strings(bounded(entry.identity?.groups ?? []))
        if let peer = entry.peer { member("peer", peer) }
        member("method", entry.method.rawValue)
        if let id = entry.id {
            writer.key("id")
            // A longer one is no longer JSON once it is cut.
            if id.bytes.count <= maximumIDBytes {
                writer.text(id)
            } else {
                writer.string(id.description.cut(toBytes: maximumIDBytes))
            }
        }
        member("object", entry.object)
        if entry.calls > 1 {
            writer.key("calls")
            writer.number(entry.calls)
        }
        if entry.isDryRun {
            writer.key("dryRun")
            writer.bool(true)
        }
        switch entry.outcome {
        case .success(let effect):
            member("status", "OK")
            if effect.isReplay {
                writer.key("replayed")
                writer.bool(true)
            }
            writer.key("allocated")
            writer.strings(
                effect.addresses.prefix(maximumAddresses).map(\.description)
                    + effect.podCIDRs.prefix(maximumAddresses).map(\.description))
            writer.key("released")
            writer.strings(effect.released.prefix(maximumAddresses).map(\.text))
            let more = effect.more + max(0, effect.released.count - maximumAddresses)
            if more > 0 {
                writer.key("more")
                writer.number(more)
            }
        case .failure(let error):
            member("status", error.status.name)
            member("reason", error.reason)
            member("error", error.message)
        }
        writer.endObject()
        return writer.bytes.visibleJSON + [UInt8(ascii: "\n")]
    }

    private static func bounded(_ groups: [String]) -> [String] {
        groups.prefix(maximumGroups).map { $0.cut(toBytes: maximumIDBytes) }
            + (groups.count > maximumGroups ? ["…"] : [])
    }
}

extension Released.What {
    fileprivate var text: String {
        switch self {
        case .address(let address): address.description
        case .subnet(let subnet): subnet.description
        }
    }
}
