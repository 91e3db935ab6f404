-- What wrk sends. KIND is debit, bulk (BULK debits a request) or entries; every key is new.
local ids = {}
for line in io.lines(os.getenv('IDS')) do ids[#ids + 1] = line end
local kind, run, bulk = os.getenv('KIND'), os.getenv('RUN'), tonumber(os.getenv('BULK'))
local count = 0

wrk.headers['content-type'] = 'application/json'
wrk.headers['x-api-key'] = os.getenv('KEY')
math.randomseed(42)

local function body(extra)
  count = count + 1
  return '{' .. extra .. '"amount":"1","reference":"call_' .. run .. '_' .. count ..
    '","idempotency_key":"debit_' .. run .. '_' .. count .. '"}'
end

local function account() return ids[math.random(#ids)] end

request = function()
  if kind == 'bulk' then
    local operations = {}
    for i = 1, bulk do
      operations[i] = body('"op":"debit","account_id":"' .. account() .. '",')
    end
    return wrk.format('POST', '/v1/customer-credits/batch', nil,
      '{"operations":[' .. table.concat(operations, ',') .. ']}')
  elseif kind == 'debit' then
    return wrk.format('POST', '/v1/customer-credits/accounts/' .. account() .. '/debit', nil, body(''))
  end
  return wrk.format('GET', account())
end
