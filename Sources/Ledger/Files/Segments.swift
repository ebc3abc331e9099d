import Synchronization

/// How large segments are, in bytes.
struct SegmentSizes: Sendable {
    /// The first segment's, a multiple of 4 KiB.
    var first = 1 << 20
    /// None is larger, but for a group that needs it.
    var most = 64 << 20
}

/// The journal: groups, one behind the other, in files of zeros that are written over.
///
/// A start of the program makes segments of its own, each twice as large as the largest before it, up to a limit, and writes over
/// those again of which everything is in the tables for certain. Segments of earlier starts are read, never written on, and removed once
/// their groups are in the tables. `tandem.db` has a row for each segment: before it is made, and, with `needed`, before anything is written to it.
///
/// Groups are appended by one thread; everything else may be called by any. All calls may block, but for `needsPreparing`.
final class Segments: Sendable {
    fileprivate struct Segment {
        let number: Int64
        let path: String
        let file: any SegmentFile
        /// The highest number of a proposal in it; 0 for none.
        var last: Int64 = 0
    }

    fileprivate struct State {
        /// This start's, in the order in which they were made.
        var segments: [Segment] = []
        /// Which of them is written to, and where the next group goes.
        var current: Int?
        var offset = 0
        /// Which comes next, if that is settled.
        var next: Int?
        /// Earlier starts', and the highest number of a proposal in them.
        var old: [(number: Int64, path: String)] = []
        var oldLast: Int64 = 0
        var nextNumber: Int64 = 1
        /// Made, and not yet sure to be told of in the database.
        var untold: Segment?
        var folded: Int64 = 0
        /// The number of the newest proposal.
        var newest: Int64 = 0
        /// The file that must be at its path.
        var files: [OpenFile] = []
    }

    private let epoch = Epoch.random()
    private let directory: String
    private let disk: any SegmentDisk
    private let sizes: SegmentSizes
    private let registry: SegmentRegistry
    private let state = Mutex(State())
    /// Held by the thread that makes a segment.
    private let making = Mutex(())
    // Proof: of the thread that appends; the lock is never waited for.
    private let memory = Mutex(AlignedMemory())

    init(directory: String, _ disk: any SegmentDisk, _ sizes: SegmentSizes, _ registry: SegmentRegistry) {
        self.directory = directory
        self.disk = disk
        self.sizes = sizes
        self.registry = registry
    }

    // MARK: A start

    /// The groups behind `start`, the number up to which rows of the database have everything. `folded` is the last number in the tables. Throws
    /// where segments are missing, are others than those of the database, or lack a group.
    func recover(_ folded: Int64, behind start: Int64) throws(LedgerError) -> [Place] {
        let known = try registry.all()
        let database = DataFiles(directory: directory).database
        let names = Set(known.map { DataFiles.segment($0.number, $0.epoch) })
        if let strange = DataFiles(directory: directory).segments().first(where: { !names.contains($0) }) {
            throw LedgerError(
                .corrupt,
                "\(directory)/\(strange) is there, and \(database) is not the database that it was written for, or had everything in "
                    + "it before: put the two that belong together back, or move this one away")
        }
        // Nothing was written to the others, or all of it is in the tables.
        for segment in known where !segment.isNeeded && OpenFile.exists(path(of: segment)) {
            guard try scan(path(of: segment), segment, folded).allSatisfy({ $0.last <= folded }) else {
                throw discontinuous("go on behind the last change that \(database) knows")
            }
        }
        let needed = known.filter(\.isNeeded)
        var places: [Place] = []
        for segment in needed {
            let path = path(of: segment)
            guard OpenFile.exists(path) else {
                throw LedgerError(
                    .corrupt,
                    "\(path) is missing, in which are changes that \(database) does not have yet: put it back; or move tandem.db and "
                        + "all files tandem.journal-* away, and start with --restore FILE, where FILE is of tandemctl backup"
                )
            }
            places += try scan(path, segment, folded)
        }
        places.sort { ($0.header.first, $0.header.last) < ($1.header.first, $1.header.last) }
        let behind = places.filter { $0.last > start }
        // The last write stays until something was written after it.
        let wrote = needed.filter { $0.first <= folded }.max { $0.first < $1.first }
        if behind.isEmpty, let wrote, !places.contains(where: { $0.last == folded && $0.epoch == wrote.epoch }) {
            throw discontinuous("end before \(folded), up to which \(database) has them")
        }
        if let gap = SegmentScan.gap(behind.map(\.header), after: start) { throw discontinuous(gap) }
        if let last = behind.last { try writeAgain(last) }
        try remove(known.filter { !$0.isNeeded }.map { ($0.number, path(of: $0)) })
        let files = try OpenFile.lying(at: needed.map(path(of:)))
        state.withLock { state in
            state.old = needed.map { ($0.number, path(of: $0)) }
            state.oldLast = behind.last?.last ?? folded
            state.nextNumber = (known.map(\.number).max() ?? 0) + 1
            state.folded = folded
            state.newest = state.oldLast
            state.files = files
        }
        return behind
    }

    private func path(of segment: RegisteredSegment) -> String {
        DataFiles(directory: directory).segment(segment.number, segment.epoch)
    }

    private func discontinuous(_ what: String) -> LedgerError {
        LedgerError(
            .corrupt,
            "the changes in \(directory)/tandem.journal-* \(what): files of different times lie beside each other, or are damaged; "
                + "nothing was changed: put back files of one time, or \(Damage.cure)")
    }

    private func scan(
        _ path: String, _ segment: RegisteredSegment, _ folded: Int64
    ) throws(LedgerError) -> [Place] {
        let file = try disk.open(path)
        // One that is not needed may be half made.
        guard file.bytes == segment.bytes || !segment.isNeeded else {
            throw LedgerError(
                .corrupt,
                "\(path) has \(file.bytes) bytes and not \(segment.bytes): put the whole file back, or \(Damage.cure)")
        }
        let epoch = segment.epoch
        return try AlignedMemory().lend(file.bytes & ~(GroupCoding.block - 1)) { bytes throws(LedgerError) in
            try file.read(bytes, at: 0)
            return SegmentScan.groups(in: UnsafeRawBufferPointer(bytes), after: folded, epoch).map {
                Place(header: $0.header, file: file, path: path, offset: $0.offset, epoch: epoch)
            }
        }
    }

    /// A group without a known outcome at the last end may be only in the system's memory.
    private func writeAgain(_ place: Place) throws(LedgerError) {
        try AlignedMemory().lend(place.header.bytes) { bytes throws(LedgerError) in
            try place.file.read(bytes, at: place.offset)
            do throws(LedgerError) {
                try place.file.write(UnsafeRawBufferPointer(bytes), at: place.offset)
            } catch { throw error.with(.notCommitted) }
        }
    }

    // MARK: Appending

    /// Where the group is whose first proposal has the number. Where the error's outcome is unknown, `resolve` is to be asked.
    func append(_ group: [Proposal], first: Int64) throws(LedgerError) -> Place {
        let entry = EntryCoding.Sizes(group[...])
        guard entry.total <= GroupCoding.maximumBodyBytes else {
            throw LedgerError(.tooLarge, "the change has \(entry.total) bytes, more than are kept at once")
        }
        let header = GroupCoding.Header(first: first, count: group.count, bodyBytes: entry.total)
        let place = try room(for: header)
        try memory.withLock { memory throws(LedgerError) in
            try memory.lend(header.bytes) { bytes throws(LedgerError) in
                GroupCoding.encode(group, entry, first: first, epoch, into: bytes)
                try place.file.write(UnsafeRawBufferPointer(bytes), at: place.offset)
            }
        }
        land(place)
        return place
    }

    /// The outcome of the group whose writing failed. Where it is complete, it is written once more, as the bytes read may never have left
    /// the system's memory; where it is not, its first block is made void. Throws, with an unknown outcome, where neither can be done.
    func resolve(_ group: [Proposal], first: Int64, _ error: LedgerError) throws(LedgerError) -> Place? {
        let entry = EntryCoding.Sizes(group[...])
        let place = try room(for: GroupCoding.Header(first: first, count: group.count, bodyBytes: entry.total))
        let isKept = try memory.withLock { memory throws(LedgerError) in
            try memory.lend(place.header.bytes) { bytes throws(LedgerError) in
                try place.file.read(bytes, at: place.offset)
                let found = UnsafeRawBufferPointer(bytes)
                let isWhole =
                    GroupCoding.header(found, epoch) == place.header
                    && GroupCoding.body(found, place.header, epoch) != nil
                if isWhole {
                    try place.file.write(found, at: place.offset)
                    return true
                }
                let block = UnsafeMutableRawBufferPointer(rebasing: bytes[..<GroupCoding.block])
                block.initializeMemory(as: UInt8.self, repeating: 0)
                do throws(LedgerError) {
                    try place.file.write(UnsafeRawBufferPointer(block), at: place.offset)
                } catch  where error.code == .full {
                    // A write that failed for want of space never comes later.
                }
                return false
            }
        }
        if isKept { land(place) }
        return isKept ? place : nil
    }

    /// Shows whether a group of so many bytes could be written: writes a block of zeros where the next group goes.
    func probe(_ bytes: Int) throws(LedgerError) {
        let header = GroupCoding.Header(first: 1, count: 1, bodyBytes: max(0, bytes - GroupCoding.headerBytes))
        do throws(LedgerError) {
            let place = try room(for: header)
            try memory.withLock { memory throws(LedgerError) in
                try memory.lend(GroupCoding.block) { block throws(LedgerError) in
                    block.initializeMemory(as: UInt8.self, repeating: 0)
                    try place.file.write(UnsafeRawBufferPointer(block), at: place.offset)
                }
            }
        } catch { throw error.with(.notCommitted) }
    }

    private func land(_ place: Place) {
        state.withLock { state in
            guard let current = state.current else { preconditionFailure("a group outside of all segments") }
            (state.segments[current].last, state.newest) = (place.last, place.last)
            state.offset = place.offset + place.header.bytes
        }
    }

    /// Where a group goes. The same until it has landed.
    private func room(for header: GroupCoding.Header) throws(LedgerError) -> Place {
        while true {
            let place: Place? = state.withLock { state in
                if !state.hasRoom(header.bytes) { state.switchSegment(header.bytes) }
                guard state.hasRoom(header.bytes), let current = state.current else { return nil }
                let segment = state.segments[current]
                return Place(
                    header: header, file: segment.file, path: segment.path, offset: state.offset, epoch: epoch)
            }
            if let place { return place }
            // Another thread may have made one that is large enough just now.
            try make(header.bytes, behind: header.first - 1)
        }
    }

    // MARK: Further segments

    /// Whether the segment that comes next is to be settled: the one that is written to is half full.
    var needsPreparing: Bool { state.withLock { $0.needsNext } }

    /// Makes the segment that comes next, or takes one of which everything is in the tables, where it is time. `newest` is the number of the
    /// newest proposal, for the first one of all.
    func prepare(behind newest: Int64) throws(LedgerError) {
        let isDue = state.withLock { state in
            guard state.needsNext else { return false }
            state.next = state.free(GroupCoding.block)
            return state.next == nil
        }
        if isDue { try make(0, behind: newest) }
    }

    private func make(_ bytes: Int, behind newest: Int64) throws(LedgerError) {
        try making.withLock { _ throws(LedgerError) in
            let (isDone, number, size, untold) = state.withLock { state in
                let largest = state.segments.map(\.file.bytes).max()
                let size = largest.map { min($0 * 2, max(sizes.most, $0)) } ?? sizes.first
                let isDone = bytes == 0 ? !state.needsNext : state.hasRoom(bytes) || state.canSwitch(bytes)
                return (isDone, state.nextNumber, max(size, Self.powerOfTwo(bytes)), state.untold)
            }
            if isDone { return }
            do throws(LedgerError) {
                let segment: Segment
                if let untold {
                    segment = untold
                } else {
                    try registry.add(number, epoch, first: newest + 1, bytes: size)
                    let path = DataFiles(directory: directory).segment(number, epoch)
                    segment = Segment(number: number, path: path, file: try disk.make(path, bytes: size))
                    state.withLock { state in
                        state.untold = segment
                        state.nextNumber = number + 1
                    }
                }
                try registry.need(segment.number)
                let file = try OpenFile.lying(at: [segment.path])
                state.withLock { state in
                    state.untold = nil
                    state.files += file
                    state.segments.append(segment)
                    if state.next == nil { state.next = state.segments.count - 1 }
                }
            } catch { throw error.with(.notCommitted) }
        }
    }

    private static func powerOfTwo(_ bytes: Int) -> Int {
        var size = GroupCoding.block
        while size < bytes { size *= 2 }
        return size
    }

    /// The tables have everything up to a number, on the disk.
    func fold(through number: Int64) { state.withLock { $0.folded = number } }

    /// Whether segments of earlier starts are there of which everything is in the tables.
    var hasDrained: Bool { state.withLock { !$0.old.isEmpty && $0.folded >= $0.oldLast } }

    /// Removes them.
    func removeDrained() throws(LedgerError) {
        let drained = state.withLock { state -> [(number: Int64, path: String)] in
            guard state.folded >= state.oldLast else { return [] }
            let paths = Set(state.old.map(\.path))
            state.files.removeAll { paths.contains($0.path) }
            defer { state.old = [] }
            return state.old
        }
        do throws(LedgerError) {
            try giveUp(drained)
        } catch {
            // No longer guarded: the next attempt, or the next start, removes the rest.
            state.withLock { $0.old = drained }
            throw error
        }
    }

    /// Removes all of them: the tables have everything, and nothing is appended any more.
    func removeAll() throws(LedgerError) {
        let all = state.withLock { state -> [(number: Int64, path: String)] in
            state.files = []
            return state.old + (state.segments + [state.untold].compactMap(\.self)).map { ($0.number, $0.path) }
        }
        try giveUp(all)
    }

    /// In this order, so that the database's needs are met at any moment.
    private func giveUp(_ segments: [(number: Int64, path: String)]) throws(LedgerError) {
        guard !segments.isEmpty else { return }
        try registry.giveUp(segments.map(\.number))
        try remove(segments)
    }

    private func remove(_ segments: [(number: Int64, path: String)]) throws(LedgerError) {
        guard !segments.isEmpty else { return }
        do throws(LedgerError) {
            try disk.remove(segments.map(\.path))
        } catch { throw error.with(.notCommitted) }
        try registry.forget(segments.map(\.number))
    }

    /// Throws where a segment is not at its path any more.
    func checkInPlace(_ outcome: LedgerError.Outcome) throws(LedgerError) {
        // Under the lock, so that none is removed meanwhile.
        try state.withLock { state throws(LedgerError) in try OpenFile.check(state.files, outcome) }
    }
}

extension Segments.State {
    func hasRoom(_ bytes: Int) -> Bool { current.map { offset + bytes <= segments[$0].file.bytes } ?? false }

    var needsNext: Bool {
        next == nil && (current.map { offset > segments[$0].file.bytes / 2 } ?? true)
    }

    /// One that may be written over. The last write stays until something was written after it.
    func free(_ bytes: Int) -> Int? {
        segments.indices.first { index in
            let last = segments[index].last
            return index != current && last <= folded && (last == 0 || last < newest)
                && segments[index].file.bytes >= bytes
        }
    }

    func canSwitch(_ bytes: Int) -> Bool {
        next.map { segments[$0].file.bytes >= bytes } ?? false || free(bytes) != nil
    }

    mutating func switchSegment(_ bytes: Int) {
        if let next, segments[next].file.bytes >= bytes {
            (current, offset, self.next) = (next, 0, nil)
        } else if let free = free(bytes) {
            (current, offset) = (free, 0)
            if next == free { next = nil }
        }
    }
}
