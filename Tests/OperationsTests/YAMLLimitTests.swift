import Foundation
import ServerSupport
import TestSupport
import Testing

/// The real programs with files that stand for more than they hold.
@Suite("YAML that is refused at once")
struct YAMLLimitTests {
    /// 343 bytes that stand for nine to the ninth elements; they held either program for minutes.
    private static let bomb =
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + zip("bcdefghi", "abcdefgh").map { name, other in
            "\(name): &\(name) [\(Array(repeating: "*\(other)", count: 9).joined(separator: ","))]\n"
        }.joined()

    @Test(
        "by tandemctl apply and by tandemd --config",
        arguments: [
            (bomb, "excessive aliasing"), ("a: &a [*a]\n", "the alias *a leads nowhere"),
            ("[", "Maximum nesting level"), ("- ", "more than 64 deep"),
        ])
    func refuses(_ content: String, _ problem: String) throws {
        let text = content.utf8.count > 2 ? content : String(repeating: content, count: 100_000)
        let directory = ScratchDirectory()
        let file = "\(directory.path)/file.yaml"
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        let clock = ContinuousClock()
        let start = clock.now
        // No server is there: nothing is asked of one.
        let applied = Command.run(
            ServerProcess.program("tandemctl"),
            ["apply", "-f", file, "--server", "127.0.0.1:1", "--ca-file", Certificates.shared.ca])
        #expect(applied.status == 2)
        #expect(applied.errors.contains(problem), "\(applied.errors.prefix(300))")
        let configured = Command.run(
            ServerProcess.program, ["--config=\(file)", "--check-config", "--data-dir=\(directory.path)"])
        #expect(configured.status == 1)
        #expect(configured.errors.contains(problem), "\(configured.errors.prefix(300))")
        #expect(applied.errors.utf8.count < 1_000 && configured.errors.utf8.count < 1_000)
        #expect(clock.now - start < .seconds(30))
    }
}
