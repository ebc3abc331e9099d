import COpenSSL
import Testing

@testable import OpenSSLTLS

@Suite("Whom a certificate is made out to")
struct PeerCertificateTests {
    private typealias Entry = (kind: Int32, type: Int32, bytes: [UInt8])

    private func certificate(_ entries: [Entry]) -> PeerCertificate {
        let certificate = X509_new()!
        defer { X509_free(certificate) }
        let subject = X509_get_subject_name(certificate)
        for entry in entries {
            let isAdded = X509_NAME_add_entry_by_NID(
                subject, entry.kind, entry.type, entry.bytes, Int32(entry.bytes.count), -1, 0)
            precondition(isAdded == 1)
        }
        return PeerCertificate(certificate)
    }

    private func user(_ text: String) -> Entry { (NID_commonName, V_ASN1_UTF8STRING, Array(text.utf8)) }
    private func group(_ text: String) -> Entry { (NID_organizationName, V_ASN1_UTF8STRING, Array(text.utf8)) }

    @Test("one CN is the user, and every O a group, whatever the type of their text")
    func namesUsers() {
        let plain = certificate([group("a"), user("system:node:n1"), group("b")])
        #expect(plain.commonName == "system:node:n1" && plain.organizations == ["a", "b"] && plain.nameFault == nil)
        #expect(certificate([(NID_commonName, V_ASN1_BMPSTRING, [0, 0x6E, 0x01, 0x31])]).commonName == "n\u{131}")
        #expect(certificate([(NID_commonName, V_ASN1_T61STRING, [0x6E, 0xE9])]).commonName == "n\u{E9}")
        #expect(certificate([(NID_commonName, V_ASN1_PRINTABLESTRING, [0x6E])]).commonName == "n")
        let long = String(repeating: "n", count: PeerCertificate.maximumNameBytes)
        #expect(certificate([user(long)]).commonName == long)
    }

    @Test("none, several, or one that is no name: no identity, with the reason")
    func refusesOthers() {
        let long = String(repeating: "n", count: PeerCertificate.maximumNameBytes + 1)
        let cases: [([Entry], String)] = [
            ([], "has no CN"),
            ([group("system:masters")], "has no CN"),
            ([user("")], "has an empty CN"),
            ([user("admin"), user("system:node:n1")], "has 2 CNs, where one is a user"),
            ([user("admin"), user("admin")], "has 2 CNs, where one is a user"),
            ([user("admin"), (NID_commonName, V_ASN1_UTF8STRING, [0xFF])], "has 2 CNs, where one is a user"),
            ([user("admin\0.example")], "has control characters in its CN"),
            ([user("admin\u{9B}2J")], "has control characters in its CN"),
            ([(NID_commonName, V_ASN1_T61STRING, [0x6E, 0x9B])], "has control characters in its CN"),
            ([(NID_commonName, V_ASN1_UTF8STRING, [0x6E, 0xC3])], "has a text as CN that can't be read"),
            ([user(long)], "has more than 1024 bytes of CN"),
            ([user("n"), group(long)], "has more than 1024 bytes of O"),
            ([user("n"), group("a\0")], "has control characters in its O"),
            ([user("n"), (NID_organizationName, V_ASN1_UTF8STRING, [0xFF])], "has a text as O that can't be read"),
        ]
        for (entries, fault) in cases {
            let certificate = certificate(entries)
            #expect(certificate.commonName == nil && certificate.nameFault == fault)
        }
    }
}
