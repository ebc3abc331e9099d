import EtcdSupport
import Foundation
import Histories
import ServerSupport
import TandemAPI
import TestSupport
import Testing

/// Real servers over real members, killed and stopped while clients call: the answers look as if each call had happened at
/// one moment, no client that retries is left without an answer, and in the end all servers have the same books.
@Suite("Histories of servers over etcd", .enabled(if: EtcdCluster.program != nil), .serialized)
struct EtcdHistoryTests {
    /// `make soak` has more.
    private static let rounds = ProcessInfo.processInfo.environment["TANDEM_SOAK"] == nil ? 4 : 100

    @Test("a server and a member are killed or stopped in every combination", arguments: [seeds.last!])
    func survives(_ seed: UInt64) async throws {
        let fleet = try await EtcdFleet()
        var generator = SeededGenerator(seed: seed)
        let blows = EtcdFleet.Blow.allCases
        for round in 0..<Self.rounds {
            let fault = EtcdFleet.Fault(
                server: (Int.random(in: 0..<3, using: &generator), blows[round % 2]),
                member: (Int.random(in: 0..<3, using: &generator), blows[round / 2 % 2]))
            try await check(
                EtcdRecorder(fleet, fault, round: round, seed: seed), "seed \(seed), round \(round), \(fault)")
        }
        try await checkBooks(fleet)
    }

    @Test("servers whose time of day is an hour early and late", .enabled(if: OtherClock.isAvailable))
    func clocks() async throws {
        let fleet = try await EtcdFleet(offsets: [0, 3_600, -3_600])
        for round in 0..<3 {
            try await check(EtcdRecorder(fleet, nil, round: round, seed: 1), "round \(round)")
        }
        try await checkBooks(fleet)
    }

    private func check(_ recorder: EtcdRecorder, _ comment: String) async throws {
        let history = try await recorder.record()
        for name in 0..<EtcdRecorder.names {
            let operations = history.filter { $0.name == name }
            #expect(
                History(operations, free: nil, hasSeveralServers: true).hasOrder,
                "\(comment): \(operations.map(\.description).joined(separator: "; "))")
        }
        #expect(doubled(history) == [], "\(comment)")
    }

    /// Addresses that one name surely held from one moment to another, while another name was seen to hold them.
    private func doubled(_ history: [RecordedCall]) -> [String] {
        var seen: [String: [RecordedCall]] = [:]
        for operation in history {
            if case .object(let address, _, _) = operation.outcome { seen[address, default: []].append(operation) }
        }
        return seen.filter { _, sightings in
            Set(sightings.map(\.name)).contains { name in
                let own = sightings.filter { $0.name == name }
                let (from, to) = (own.map(\.answered).min()!, own.map(\.invoked).max()!)
                return sightings.contains { $0.name != name && $0.invoked > from && $0.answered < to }
            }
        }.map(\.key)
    }

    private func checkBooks(_ fleet: EtcdFleet) async throws {
        let (faults, lists) = try await fleet.books()
        #expect(faults == [])
        #expect(lists.count == 1, "\(lists)")
        #expect(lists.first?.contains("10.96.") == true)
        #expect(await fleet.stop() == [])
    }
}
