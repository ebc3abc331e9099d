import Foundation
import GRDB

/// The changes that the journal of a data directory has and the tables of its database do not have yet, for people: of a server that runs, or of one that has
/// ended. Nothing is written, locked or held back. Calls block.
public struct UnfoldedJournal: Sendable {
    /// A proposal, kept or refused, with its number: that is judged by the books alone.
    public typealias Numbered = (number: Int64, proposal: Proposal)

    /// The number of the last proposal that the tables have.
    public let folded: Int64
    /// Those behind it, in their order, without a gap.
    public let entries: [Numbered]

    /// While a server runs a segment may be written over between the look at the database and that at the segment.
    private static let attempts = 5

    /// O(bytes of the segments). Throws where there is no database of this program, where a file can't be read, and where changes
    /// are missing.
    public static func read(directory: String) throws(LedgerError) -> UnfoldedJournal {
        var attempt = 1
        while true {
            do throws(LedgerError) {
                return try look(DataFiles(directory: directory))
            } catch {
                guard error.code == .corrupt, attempt < attempts else { throw error }
                attempt += 1
            }
        }
    }

    private init(folded: Int64, _ entries: [Numbered]) {
        (self.folded, self.entries) = (folded, entries)
    }

    private static func look(_ files: DataFiles) throws(LedgerError) -> UnfoldedJournal {
        let path = files.database
        guard FileManager.default.fileExists(atPath: path) else {
            throw LedgerError(.notOurs, "\(path) is not there: give the directory that is --data-dir of a server")
        }
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(1)
        return try LedgerError.converting(path, .notCommitted) {
            let queue = try DatabaseQueue(path: DataFiles.real(path), configuration: configuration)
            defer { try? queue.close() }
            // As of one moment.
            return try queue.read { db in
                try Schema.verify(db, at: path)
                let folded = try JournalRows.folded(db).sequence
                var entries: [Numbered] = []
                guard try Int64.fetchOne(db, sql: "PRAGMA user_version") ?? 0 == Schema.version else {
                    throw LedgerError(
                        .notOurs, "\(path) is of an earlier release: the first start of this one brings it up to date")
                }
                try JournalRows.read(db, after: folded, path) { proposals, first in
                    entries += zip(first..., proposals).map { ($0, $1) }
                    return true
                }
                let segments = try SegmentRegistry.all(db, path).filter(\.isNeeded)
                try add(segments, of: files, to: &entries, behind: folded)
                return UnfoldedJournal(folded: folded, entries)
            }
        }
    }

    private static func add(
        _ segments: [RegisteredSegment], of files: DataFiles, to entries: inout [Numbered], behind folded: Int64
    ) throws(LedgerError) {
        let end = entries.last?.number ?? folded
        var groups: [(header: GroupCoding.Header, proposals: [Proposal])] = []
        for segment in segments {
            let path = files.segment(segment.number, segment.epoch)
            guard let bytes = FileManager.default.contents(atPath: path) else {
                throw LedgerError(.corrupt, "\(path) is not there, or can't be read")
            }
            groups += bytes.withUnsafeBytes { bytes in
                SegmentScan.groups(in: bytes, after: end, segment.epoch).compactMap { found in
                    guard found.header.last > end else { return nil }
                    let rest = UnsafeRawBufferPointer(rebasing: bytes[found.offset...])
                    let body = GroupCoding.body(rest, found.header, segment.epoch)
                    return body.flatMap { EntryCoding.decode($0) }.map { (found.header, $0) }
                }
            }
        }
        groups.sort { $0.header.first < $1.header.first }
        if let gap = SegmentScan.gap(groups.map(\.header), after: end) {
            throw LedgerError(.corrupt, "the journal in \(files.directory) \(gap): a segment is damaged or not there")
        }
        for (header, proposals) in groups { entries += zip(header.first..., proposals).map { ($0, $1) } }
    }
}
