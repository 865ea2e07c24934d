// What a client's certificate says of its owner, as claims that rules, fields and logs can name.
import JSON

enum CertificateClaims {
    /// By the letter of the records that `Transport` writes.
    private static func isList(_ letter: UInt8) -> Bool { letter < UInt8(ascii: "a") }
    private static let names: [(letter: UInt8, claim: StaticString)] = [
        (UInt8(ascii: "d"), "subject_dn"), (UInt8(ascii: "c"), "subject_cn"), (UInt8(ascii: "i"), "issuer_dn"),
        (UInt8(ascii: "s"), "serial"), (UInt8(ascii: "D"), "san_dns"), (UInt8(ascii: "U"), "san_uri"),
        (UInt8(ascii: "E"), "san_email"), (UInt8(ascii: "I"), "san_ip"),
    ]

    /// Members of the object that is being written: lists of alternative names, the other names as strings.
    static func write(_ records: Span<UInt8>, to writer: inout JSONWriter) {
        for (letter, claim) in names {
            var isOpen = false
            var i = 0
            while i + 3 <= records.count {
                let end = i + 3 + (Int(records[i + 1]) << 8 | Int(records[i + 2]))
                if records[i] == letter && end <= records.count {
                    if !isOpen {
                        writer.name(claim)
                        if isList(letter) { writer.beginArray() }
                    }
                    isOpen = true
                    writer.string(records.extracting(i + 3..<end))
                }
                i = end
            }
            if isOpen && isList(letter) { writer.endArray() }
        }
    }
}
