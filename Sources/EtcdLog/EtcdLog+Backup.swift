public import Ledger
import Synchronization

extension EtcdLog: BackedUpLog {
    /// Records that are written at once.
    private static let backupRecords = 1_024
    /// etcd drops revisions older than a compaction, which may come while a copy is made: then it is made anew.
    private static let backupAttempts = 3

    /// Writes everything that this server has applied by now into a new file, in the form that `Backup.restore` takes. Blocks, for as
    /// long as etcd takes to hand over its tables, and not the journal's thread: any other one but the event loop's. Holds a page of the
    /// tables in memory, and the entries that they do not have yet.
    ///
    /// Throws also where etcd was compacted meanwhile, each time that it was tried.
    public func backUp(to file: String) throws(LedgerError) { try backUp(to: file) {} }

    /// `again` is called before each further attempt.
    func backUp(to file: String, again: () -> Void) throws(LedgerError) {
        for attempt in 1... {
            do throws(LedgerError) {
                return try copy(to: file)
            } catch {
                guard error.code == .leftBehind, attempt < Self.backupAttempts else { throw error }
            }
            again()
        }
    }

    private func copy(to file: String) throws(LedgerError) {
        // The tables as of this revision, and the entries behind them, are the books.
        let (revision, unfolded) = state.withLock { ($0.handled, $0.unfolded) }
        let copy = try BackupWriter(file)
        do {
            for kind in RecordKind.allCases { try copyTable(kind, at: revision, to: copy) }
            var version = unfolded.mark.version
            for entry in unfolded.entries {
                var step = FoldStep(version: version)
                for (proposal, isKept) in entry.judged where isKept { step.add(proposal) }
                try copy.fold(step)
                version = step.version
            }
            try copy.finish(version: version)
        } catch {
            copy.discard()
            guard let fault = error as? LedgerError else {
                throw LedgerError(.inputOutput, "\(file): \(error)", cause: error)
            }
            guard fault.code == .leftBehind else { throw fault }
            throw LedgerError(
                .leftBehind, "etcd dropped a part of the data during the copy: begin again (\(fault.message))")
        }
    }

    private func copyTable(_ kind: RecordKind, at revision: Int64, to copy: BackupWriter) throws {
        for range in keys.table(kind) {
            var records: [StoredRecord] = []
            try visit(kind, range, at: revision) { record in
                records.append(record)
                guard records.count == Self.backupRecords else { return }
                try copy.put(records)
                records.removeAll(keepingCapacity: true)
            }
            if !records.isEmpty { try copy.put(records) }
        }
    }
}
