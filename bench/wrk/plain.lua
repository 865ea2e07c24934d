-- Requests without a token.
local requests = require "requests"
local bytes

function init() bytes = requests.make(nil) end

function request() return bytes end

done = requests.report("ok")
