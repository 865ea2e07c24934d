// A second on the wall clock as a date in UTC, and the forms in which logs and messages write it.

/// The proleptic Gregorian calendar, without time zones and without leap seconds, as POSIX counts.
@frozen public struct CivilTime: Equatable, Sendable {
    public let year: Int
    /// From 1.
    public let month: Int, day: Int
    public let hour: Int, minute: Int, second: Int
    /// 0 is Sunday.
    public let weekday: Int

    /// Seconds since 1970, never before; a clock that shows more than the year 9999 shows its last second.
    public init(wallSeconds: Int64) {
        let seconds = Int(min(max(wallSeconds, 0), 253_402_300_799))
        let days = seconds / 86_400, rest = seconds % 86_400
        // Howard Hinnant's civil_from_days: years begin in March, so that a leap day is the last of its year.
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        hour = rest / 3600
        minute = rest / 60 % 60
        second = rest % 60
        weekday = (days + 4) % 7
    }

    public var monthName: StaticString {
        switch month {
        case 1: "Jan"
        case 2: "Feb"
        case 3: "Mar"
        case 4: "Apr"
        case 5: "May"
        case 6: "Jun"
        case 7: "Jul"
        case 8: "Aug"
        case 9: "Sep"
        case 10: "Oct"
        case 11: "Nov"
        default: "Dec"
        }
    }
    public var weekdayName: StaticString {
        switch weekday {
        case 0: "Sun"
        case 1: "Mon"
        case 2: "Tue"
        case 3: "Wed"
        case 4: "Thu"
        case 5: "Fri"
        default: "Sat"
        }
    }

    /// `Sat, 21 Nov 2026 09:30:00 GMT` (IMF-fixdate, RFC 9110 section 5.6.7): 29 bytes.
    public func appendHTTPDate(to out: inout ByteBuffer) {
        out.append(weekdayName)
        out.append(", ")
        out.append(decimal: UInt64(day), width: 2)
        out.append(byte: UInt8(ascii: " "))
        out.append(monthName)
        out.append(byte: UInt8(ascii: " "))
        out.append(decimal: UInt64(year), width: 4)
        out.append(byte: UInt8(ascii: " "))
        appendClock(to: &out)
        out.append(" GMT")
    }
    /// `2026/11/21 09:30:00`, as error logs have it.
    public func appendLogTime(to out: inout ByteBuffer) {
        appendDay(separator: UInt8(ascii: "/"), to: &out)
        out.append(byte: UInt8(ascii: " "))
        appendClock(to: &out)
    }
    /// `2026-11-21T09:30:00+00:00`
    public func appendISO8601(to out: inout ByteBuffer) {
        appendDay(separator: UInt8(ascii: "-"), to: &out)
        out.append(byte: UInt8(ascii: "T"))
        appendClock(to: &out)
        out.append("+00:00")
    }
    /// `2026-11-21T09:30:00.123Z` (RFC 3339)
    public func appendRFC3339(milliseconds: Int, to out: inout ByteBuffer) {
        appendDay(separator: UInt8(ascii: "-"), to: &out)
        out.append(byte: UInt8(ascii: "T"))
        appendClock(to: &out)
        out.append(byte: UInt8(ascii: "."))
        out.append(decimal: UInt64(min(max(milliseconds, 0), 999)), width: 3)
        out.append(byte: UInt8(ascii: "Z"))
    }
    /// `21/Nov/2026:09:30:00 +0000`, the common log format.
    public func appendCommonLogTime(to out: inout ByteBuffer) {
        out.append(decimal: UInt64(day), width: 2)
        out.append(byte: UInt8(ascii: "/"))
        out.append(monthName)
        out.append(byte: UInt8(ascii: "/"))
        out.append(decimal: UInt64(year), width: 4)
        out.append(byte: UInt8(ascii: ":"))
        appendClock(to: &out)
        out.append(" +0000")
    }
    private func appendDay(separator: UInt8, to out: inout ByteBuffer) {
        out.append(decimal: UInt64(year), width: 4)
        out.append(byte: separator)
        out.append(decimal: UInt64(month), width: 2)
        out.append(byte: separator)
        out.append(decimal: UInt64(day), width: 2)
    }
    private func appendClock(to out: inout ByteBuffer) {
        out.append(decimal: UInt64(hour), width: 2)
        out.append(byte: UInt8(ascii: ":"))
        out.append(decimal: UInt64(minute), width: 2)
        out.append(byte: UInt8(ascii: ":"))
        out.append(decimal: UInt64(second), width: 2)
    }
}
