-- What wrk sends. KIND is debit, bulk (BULK debits a request) or entries; every idempotency key is
-- new. A line of IDS is an account, and after a space the API key of its store, where that is not KEY.
local stores, byKey = {}, {}
for line in io.lines(os.getenv('IDS')) do
  local id, key = line:match('^(%S+)%s*(%S*)$')
  if key == '' then key = os.getenv('KEY') end
  if byKey[key] == nil then
    byKey[key] = { ids = {}, headers = { ['content-type'] = 'application/json', ['x-api-key'] = key } }
    stores[#stores + 1] = byKey[key]
  end
  table.insert(byKey[key].ids, id)
end
local kind, run, bulk = os.getenv('KIND'), os.getenv('RUN'), tonumber(os.getenv('BULK'))
local count = 0

math.randomseed(42)

local function body(extra)
  count = count + 1
  return '{' .. extra .. '"amount":"1","reference":"call_' .. run .. '_' .. count ..
    '","idempotency_key":"debit_' .. run .. '_' .. count .. '"}'
end

local function account(store) return store.ids[math.random(#store.ids)] end

request = function()
  local store = stores[math.random(#stores)]
  if kind == 'bulk' then
    local operations = {}
    for i = 1, bulk do
      operations[i] = body('"op":"debit","account_id":"' .. account(store) .. '",')
    end
    return wrk.format('POST', '/v1/customer-credits/batch', store.headers,
      '{"operations":[' .. table.concat(operations, ',') .. ']}')
  elseif kind == 'debit' then
    local path = '/v1/customer-credits/accounts/' .. account(store) .. '/debit'
    return wrk.format('POST', path, store.headers, body(''))
  end
  return wrk.format('GET', account(store), store.headers)
end
