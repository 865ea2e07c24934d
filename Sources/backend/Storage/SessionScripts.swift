// What Redis runs in one piece for sessions and revocations. All times are the server's own, in milliseconds: the clocks
// of several backends differ.
//
// PREFIX:session:SID            user, client, created, refreshed, expires, and revoked when it was ended
// PREFIX:sessions               alive sessions by their beginning; PREFIX:user:USER those of one user
// PREFIX:session_ends           the same by their end: nobody renews them until then
// PREFIX:token:HASH             session, idle (when it ends unused), and spent when it was rotated
// PREFIX:grace:HASH             the successor of a spent token, encrypted under it; Redis deletes it after the grace
// PREFIX:valid_from:USER        the first second in which access tokens of the user count
// PREFIX:cursor                 the last one that was given
// PREFIX:revocations            cursor and entry by cursor; PREFIX:revocation_ends cursors by the end of their entries
// PREFIX:revoked:jti:ID         there while the access token of this id is revoked

enum SessionScripts {
    /// What every script begins with. Arguments 1 to 4: prefix, issuer, channel (or nothing), and the seconds after
    /// which an access token that is minted now is dead everywhere.
    private static let prelude = """
        local prefix, issuer, channel, lasts = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
        local time = redis.call('TIME')
        local second = tonumber(time[1])
        local now = second * 1000 + math.floor(tonumber(time[2]) / 1000)
        local day = 86400000

        local function digits(number) return string.format('%.0f', number) end
        local function key(kind, name) return prefix .. ':' .. kind .. ':' .. name end

        local function revoke(kind, value, ends, before)
          local text = cjson.encode({issuer = issuer, kind = kind, value = value, ['until'] = ends, before = before})
          -- Of the time, so that none comes twice even when the server has lost what it held.
          local last = tonumber(redis.call('GET', prefix .. ':cursor') or '0')
          local cursor = digits(math.max(last + 1, second * 1000000 + tonumber(time[2])))
          redis.call('SET', prefix .. ':cursor', cursor)
          redis.call('ZADD', prefix .. ':revocations', cursor, cursor .. ' ' .. text)
          redis.call('ZADD', prefix .. ':revocation_ends', digits(ends), cursor)
          if kind == 'jti' then redis.call('SET', key('revoked', 'jti:' .. value), '', 'EXAT', digits(ends)) end
          if channel ~= '' then redis.call('PUBLISH', channel, text) end
        end

        local function valid_from(user) return tonumber(redis.call('GET', key('valid_from', user)) or '0') end

        -- The session of a token with what the token says; nil when nobody was given it.
        local function find(hash)
          local token = redis.call('HMGET', key('token', hash), 'session', 'idle', 'spent')
          if not token[1] then return nil end
          local session = redis.call('HMGET', key('session', token[1]), 'user', 'client', 'created', 'expires', 'revoked')
          if not session[1] then return nil end
          return {
            id = token[1], idle = tonumber(token[2]), spent = token[3], user = session[1], client = session[2],
            created = session[3], expires = tonumber(session[4]), revoked = session[5]}
        end

        local function forget(id, user)
          redis.call('ZREM', prefix .. ':sessions', id)
          redis.call('ZREM', prefix .. ':session_ends', id)
          redis.call('ZREM', key('user', user), id)
        end

        -- Ends a session that is alive; whoever ends it again and again must not fill the feed.
        local function finish(id)
          local name = key('session', id)
          local session = redis.call('HMGET', name, 'user', 'revoked')
          if not session[1] or session[2] then return false end
          redis.call('HSET', name, 'revoked', digits(now))
          forget(id, session[1])
          revoke('sid', id, second + lasts)
          return true
        end

        local function give(hash, id, idle, expires)
          redis.call('HSET', key('token', hash), 'session', id, 'idle', digits(now + idle))
          -- An expired session is kept for a day, so that its tokens are still told "expired" and not "unknown".
          redis.call('PEXPIREAT', key('token', hash), digits(expires + day))
          redis.call('ZADD', prefix .. ':session_ends', digits(math.min(now + idle, expires)), id)
        end

        -- A second in which tokens of the user count, later than those before.
        local function end_tokens(user, from)
          redis.call('SET', key('valid_from', user), digits(from))
          revoke('sub', user, math.max(second, from) + lasts, from)
        end

        """

    static func script(_ body: String) -> RedisScript { RedisScript(prelude + body) }

    /// sid, user, client, hash of the token, lifetime, idle → now, valid_from.
    static let begin = script(
        """
        local id, user, client, hash, lifetime, idle = unpack(ARGV, 5)
        local expires = now + tonumber(lifetime)
        redis.call('HSET', key('session', id), 'user', user, 'client', client, 'created', digits(now),
          'expires', digits(expires))
        redis.call('PEXPIREAT', key('session', id), digits(expires + day))
        redis.call('ZADD', prefix .. ':sessions', digits(now), id)
        redis.call('ZADD', key('user', user), digits(now), id)
        give(hash, id, tonumber(idle), expires)
        return {digits(now), digits(valid_from(user))}
        """)

    /// hash, hash of the successor, the successor sealed, idle, grace → what became of it, and with it sid, user,
    /// client, now, valid_from, the sealed successor, when that was made, when the session expires.
    static let rotate = script(
        """
        local hash, next_hash, sealed, idle, grace = unpack(ARGV, 5)
        local found = find(hash)
        if not found then return {'unknown'} end
        if found.revoked then return {'revoked'} end
        if now >= found.expires then return {'expired'} end
        if found.spent then
          sealed = redis.call('GET', key('grace', hash))
          if not sealed then
            finish(found.id)
            return {'reused', found.id, found.user, found.client}
          end
        else
          if now >= found.idle then return {'expired'} end
          give(next_hash, found.id, tonumber(idle), found.expires)
          redis.call('HSET', key('token', hash), 'spent', digits(now))
          if tonumber(grace) > 0 then redis.call('SET', key('grace', hash), sealed, 'PX', grace) end
          redis.call('HSET', key('session', found.id), 'refreshed', digits(now))
        end
        return {'continued', found.id, found.user, found.client, digits(now), digits(valid_from(found.user)), sealed,
          found.spent or digits(now), digits(found.expires)}
        """)

    /// hash → sid, user, client, created, expires, idle, now, "revoked" or nothing, "spent" or nothing; nothing at all
    /// for a token that nobody was given.
    static let find = script(
        """
        local found = find(ARGV[5])
        if not found then return {} end
        return {found.id, found.user, found.client, found.created, digits(found.expires), digits(found.idle), digits(now),
          found.revoked and 'revoked' or '', found.spent and 'spent' or ''}
        """)

    /// hash → sid, user, client of the session that is ended now.
    static let endOfToken = script(
        """
        local found = find(ARGV[5])
        if not found then return {} end
        finish(found.id)
        redis.call('DEL', key('grace', ARGV[5]))
        return {found.id, found.user, found.client}
        """)

    /// sid, jti or nothing → whether the session was alive.
    static let end = script(
        """
        local ended = finish(ARGV[5])
        if ARGV[6] ~= '' then revoke('jti', ARGV[6], second + lasts) end
        return ended and 1 or 0
        """)

    /// Ends all sessions and tokens of a user.
    static let endAll = script(
        """
        local user = ARGV[5]
        local earliest = valid_from(user)
        local alive = redis.call('ZRANGE', key('user', user), 0, -1)
        for _, id in ipairs(alive) do
          -- The second time in one second: tokens minted in between have an `iat` that still counts.
          if earliest > second then finish(id) end
          redis.call('HSET', key('session', id), 'revoked', digits(now))
          forget(id, user)
        end
        -- Not earlier than before: a clock that was set back must not revive what is dead.
        end_tokens(user, math.max(second + 1, earliest))
        return 1
        """)

    /// Ends the access tokens of a user; each time later than before, as tokens of the same second are meant as well.
    static let endTokens = script(
        """
        end_tokens(ARGV[5], math.max(second, valid_from(ARGV[5])) + 1)
        return 1
        """)

    /// kind, value, until → appended.
    static let revoke = script(
        """
        revoke(ARGV[5], ARGV[6], tonumber(ARGV[7]))
        return 1
        """)

    /// sid, user, iat, jti or nothing → 1 while an access token with these claims counts, 2 when its session has run out.
    static let standing = script(
        """
        local id, user, issued, token = unpack(ARGV, 5)
        local session = redis.call('HMGET', key('session', id), 'user', 'revoked', 'expires')
        if session[1] ~= user or session[2] then return 0 end
        if tonumber(issued) < valid_from(user) then return 0 end
        if redis.call('EXISTS', key('revoked', 'jti:' .. token)) == 1 then return 0 end
        return now < tonumber(session[3]) and 1 or 2
        """)

    /// user or nothing, moment and sid behind which to begin or nothing, how many → sid, user, client, created,
    /// refreshed or nothing, expires of each.
    static let page = script(
        """
        local user, moment, after, limit = unpack(ARGV, 5)
        local list = user == '' and prefix .. ':sessions' or key('user', user)
        local from = moment == '' and '+inf' or moment
        local found, offset = {}, 0
        while #found < tonumber(limit) do
          local ids = redis.call('ZRANGE', list, from, '-inf', 'BYSCORE', 'REV', 'LIMIT', offset, 100)
          if #ids == 0 then break end
          offset = offset + #ids
          for _, id in ipairs(ids) do
            local session = redis.call(
              'HMGET', key('session', id), 'user', 'client', 'created', 'refreshed', 'expires')
            local ends = tonumber(redis.call('ZSCORE', prefix .. ':session_ends', id) or '0')
            local is_older = moment == '' or tonumber(session[3]) < tonumber(moment) or id < after
            if session[1] and ends > now and is_older and #found < tonumber(limit) then
              table.insert(found, {id, session[1], session[2], session[3], session[4] or '', session[5]})
            end
          end
        end
        return found
        """)

    /// sid → the same of this session, or nothing when it is not alive.
    static let alive = script(
        """
        local id = ARGV[5]
        local ends = tonumber(redis.call('ZSCORE', prefix .. ':session_ends', id) or '0')
        if ends <= now then return {} end
        local session = redis.call('HMGET', key('session', id), 'user', 'client', 'created', 'refreshed', 'expires')
        return {id, session[1], session[2], session[3], session[4] or '', session[5]}
        """)

    /// Forgets what has ended by itself, up to 1000 of each → how many were forgotten.
    static let sweep = script(
        """
        local count = 0
        local ended = redis.call('ZRANGE', prefix .. ':session_ends', '-inf', digits(now), 'BYSCORE', 'LIMIT', 0, 1000)
        for _, id in ipairs(ended) do forget(id, redis.call('HGET', key('session', id), 'user') or '') end
        local old = redis.call(
          'ZRANGE', prefix .. ':revocation_ends', '-inf', digits(second - 1), 'BYSCORE', 'LIMIT', 0, 1000)
        for _, cursor in ipairs(old) do
          redis.call('ZREMRANGEBYSCORE', prefix .. ':revocations', cursor, cursor)
          redis.call('ZREM', prefix .. ':revocation_ends', cursor)
        end
        return #ended + #old
        """)
}
