// Statements that stay compiled with their connection: compiling one takes longer than running most of ours.
import GRDB

extension GRDB.Database {
    func executeCached(_ sql: String, _ arguments: StatementArguments) throws {
        try cachedStatement(sql: sql).execute(arguments: arguments)
    }

    func cachedRow(_ sql: String, _ arguments: StatementArguments) throws -> Row? {
        try Row.fetchOne(cachedStatement(sql: sql), arguments: arguments)
    }

    /// Hands on each row where SQLite has it, without a copy; its columns are best read by position.
    func cachedRows(_ sql: String, _ arguments: StatementArguments, _ read: (Row) -> Void) throws {
        let rows = try Row.fetchCursor(cachedStatement(sql: sql), arguments: arguments)
        while let row = try rows.next() { read(row) }
    }

    func cachedValue<Value: DatabaseValueConvertible>(_ sql: String, _ arguments: StatementArguments) throws -> Value? {
        try Value.fetchOne(cachedStatement(sql: sql), arguments: arguments)
    }

    func cachedTexts(_ sql: String, _ arguments: StatementArguments) throws -> [String] {
        try String.fetchAll(cachedStatement(sql: sql), arguments: arguments)
    }
}
