// Dates against the C library's, and the forms that logs and messages use.
import Bytes
import Glibc
import Testing

struct CivilTimeTests {
    private static func written(_ write: (inout ByteBuffer) -> Void) -> String {
        var buffer = ByteBuffer(capacity: 64)
        write(&buffer)
        return String(decoding: (0..<buffer.count).map { buffer.bytes[$0] }, as: UTF8.self)
    }

    @Test func `days agree with the C library from 1970 to 9999`() {
        for seconds in stride(from: Int64(0), to: 253_402_300_799, by: 86_400 * 13 + 12_347) {
            let ours = CivilTime(wallSeconds: seconds)
            var time = time_t(seconds), theirs = tm()
            gmtime_r(&time, &theirs)
            #expect(
                [ours.year, ours.month, ours.day, ours.hour, ours.minute, ours.second, ours.weekday]
                    == [
                        theirs.tm_year + 1900, theirs.tm_mon + 1, theirs.tm_mday, theirs.tm_hour, theirs.tm_min,
                        theirs.tm_sec, theirs.tm_wday,
                    ].map { Int($0) }, "\(seconds)")
        }
    }

    @Test(
        arguments: [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"), (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (-5, "Thu, 01 Jan 1970 00:00:00 GMT"), (Int64.max, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] as [(Int64, String)])
    func `HTTP dates are IMF-fixdate`(seconds: Int64, expected: String) {
        #expect(Self.written { CivilTime(wallSeconds: seconds).appendHTTPDate(to: &$0) } == expected)
    }

    @Test func `logs have nginx's forms`() {
        let time = CivilTime(wallSeconds: 1_795_253_400)
        #expect(Self.written { time.appendLogTime(to: &$0) } == "2026/11/21 09:30:00")
        #expect(Self.written { time.appendCommonLogTime(to: &$0) } == "21/Nov/2026:09:30:00 +0000")
        #expect(Self.written { time.appendISO8601(to: &$0) } == "2026-11-21T09:30:00+00:00")
        #expect(Self.written { time.appendRFC3339(milliseconds: 42, to: &$0) } == "2026-11-21T09:30:00.042Z")
    }

    @Test(
        arguments: [
            (0, 1, "0"), (7, 3, "007"), (1234, 2, "1234"), (UInt64.max, 1, "18446744073709551615"),
            (5, 20, "00000000000000000005"),
        ] as [(UInt64, Int, String)])
    func `decimal numbers have the width that was asked for`(number: UInt64, width: Int, expected: String) {
        #expect(Self.written { $0.append(decimal: number, width: width) } == expected)
    }
}
