-- Suggestions as ghost text, the same in all versions of Neovim.
--
-- What is suggested is kept with the line and the place it was asked for. Text typed that agrees with it only shortens
-- it; anything else on that line, and any other place, ends it. Neovim 0.12 has inline completion of its own, which
-- goes on offering a suggestion for a while after other keys, and inserts it then; so this does not use it.

local M = {}

local METHOD = 'textDocument/inlineCompletion'
local AUTOMATIC, BY_HAND = 2, 1 -- kinds of triggers
local WAIT_MS = 40 -- for the next key; the server waits as its speed asks for
local namespace = vim.api.nvim_create_namespace('setfill')

-- What was answered last. `before` and `behind` are the parts of the line at the cursor that was asked for.
local state = { items = {}, index = 1 } -- also: bufnr, row, before, behind, cycled, client_id, request_id, timer

local function client_of(bufnr)
  return vim.lsp.get_clients({ bufnr = bufnr, name = 'setfill' })[1]
end

local function erase()
  if state.bufnr and vim.api.nvim_buf_is_valid(state.bufnr) then
    vim.api.nvim_buf_clear_namespace(state.bufnr, namespace, 0, -1)
  end
end

local function forget()
  erase()
  state.items, state.index, state.cycled = {}, 1, false
end

local function withdraw()
  local client = state.client_id and vim.lsp.get_client_by_id(state.client_id)
  if client and state.request_id then
    client:cancel_request(state.request_id)
  end
  state.request_id = nil
end

-- The row of the cursor, counted from 0, and the line before and behind it.
local function place()
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  local line = vim.api.nvim_get_current_line()
  return row - 1, line:sub(1, col), line:sub(col + 1)
end

-- What is left of each item that agrees with what was typed since it was asked for, or nil.
local function rests()
  if #state.items == 0 or state.bufnr ~= vim.api.nvim_get_current_buf() then
    return nil
  end
  local row, before, behind = place()
  if row ~= state.row or behind ~= state.behind or not vim.startswith(before, state.before) then
    return nil
  end
  local typed = before:sub(#state.before + 1)
  local left = {}
  for _, item in ipairs(state.items) do
    if vim.startswith(item.text, typed) and #item.text > #typed then
      table.insert(left, { text = item.text:sub(#typed + 1), item = item })
    end
  end
  return #left > 0 and left or nil
end

local function current()
  local left = rests()
  if left then
    local index = (state.index - 1) % #left + 1
    return left[index], ('  (%d/%d)'):format(index, #left)
  end
end

local function render()
  erase()
  local rest, which = current()
  if not rest then
    return
  end
  local highlight = vim.fn.hlexists('ComplHint') == 1 and 'ComplHint' or 'Comment'
  local lines = vim.tbl_map(function(line)
    return { { line, highlight } }
  end, vim.split(rest.text, '\n', { plain = true }))
  if state.cycled then
    table.insert(lines[#lines], { which, 'Comment' })
  end
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  vim.api.nvim_buf_set_extmark(0, namespace, row - 1, col, {
    virt_text = lines[1],
    virt_text_pos = 'inline',
    virt_lines = #lines > 1 and vim.list_slice(lines, 2) or nil,
  })
end

-- The text that an item would insert at the cursor that was asked for: its range may begin before that cursor.
local function text_at_cursor(item, before, encoding)
  local from = item.range and vim.str_byteindex(before, encoding, item.range.start.character, false) or #before
  return vim.startswith(item.insertText, before:sub(from + 1)) and item.insertText:sub(#before - from + 1) or nil
end

local function receive(asked, result, encoding)
  if vim.api.nvim_get_mode().mode:sub(1, 1) ~= 'i' or vim.api.nvim_get_current_buf() ~= asked.bufnr then
    return
  end
  forget()
  state.bufnr, state.row, state.before, state.behind = asked.bufnr, asked.row, asked.before, asked.behind
  for _, item in ipairs(result.items or result) do
    local text = text_at_cursor(item, asked.before, encoding)
    if text then
      table.insert(state.items, { text = text, command = item.command })
    end
  end
  render()
end

local function request(kind)
  local asked = { bufnr = vim.api.nvim_get_current_buf() }
  local client = client_of(asked.bufnr)
  if not client then
    return
  end
  withdraw()
  asked.row, asked.before, asked.behind = place()
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  params.context = { triggerKind = kind }
  state.client_id = client.id
  local id
  -- The buffer's own number, not 0: only then are pending changes sent before the request.
  _, id = client:request(METHOD, params, function(err, result)
    if id ~= state.request_id then -- withdrawn
      return
    end
    state.request_id = nil
    if err and kind == BY_HAND then
      vim.notify('Setfill: ' .. err.message, vim.log.levels.WARN)
    elseif not err and result then -- null: a newer request has overtaken this one
      receive(asked, result, client.offset_encoding)
    end
  end, asked.bufnr)
  state.request_id = id
end

local function changed()
  if state.timer then
    state.timer:stop()
  end
  if rests() then
    render()
    return
  end
  forget()
  withdraw()
  state.timer = vim.defer_fn(function()
    if vim.api.nvim_get_mode().mode:sub(1, 1) == 'i' then
      request(AUTOMATIC)
    end
  end, WAIT_MS)
end

-- Insert text at the cursor, as one change, and move behind it.
local function insert(text)
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  vim.cmd('let &g:undolevels = &g:undolevels') -- begins a new change
  local lines = vim.split(text, '\n', { plain = true })
  vim.api.nvim_buf_set_text(0, row - 1, col, row - 1, col, lines)
  vim.api.nvim_win_set_cursor(0, { row + #lines - 1, #lines == 1 and col + #text or #lines[#lines] })
end

-- Insert `part` of what is shown, and tell the server.
local function take(rest, part)
  forget()
  insert(part)
  local client = state.client_id and vim.lsp.get_client_by_id(state.client_id)
  local id = rest.item.command and rest.item.command.arguments and rest.item.command.arguments[1]
  if client and id then
    local whole = part == rest.text
    client:notify('setfill/didAcceptSuggestion', { id = id, acceptedLength = not whole and vim.fn.strchars(part) or nil })
  end
end

-- Accept as much as a regular expression of Vim matches.
local function take_matching(pattern)
  local rest = current()
  if rest then
    local part = vim.fn.matchstr(rest.text, pattern)
    take(rest, part ~= '' and part or rest.text)
  end
end

function M.enable()
  local group = vim.api.nvim_create_augroup('setfill', { clear = true })
  local keys = { 'InsertEnter', 'TextChangedI', 'TextChangedP', 'CursorMovedI' }
  vim.api.nvim_create_autocmd(keys, { group = group, callback = changed })
  vim.api.nvim_create_autocmd({ 'InsertLeave', 'BufLeave' }, {
    group = group,
    callback = function()
      forget()
      withdraw()
    end,
  })
end

function M.is_shown()
  return current() ~= nil
end

function M.accept()
  local rest = current()
  if rest then
    take(rest, rest.text)
  end
end

-- Blank lines before it belong to a line, and blanks to a word: the next thing one sees.
function M.accept_line()
  take_matching([=[^[[:space:]]*[^\n]\+]=])
end

-- A word is what `w` moves over: letters of any script as 'iskeyword' has them, or other characters together.
function M.accept_word()
  take_matching([=[^[[:space:]]*\%([[:keyword:]]\+\|[^[:space:][:keyword:]]\+\)]=])
end

local function cycle(step)
  state.index, state.cycled = state.index + step, true
  render()
end

function M.next()
  cycle(1)
end

function M.previous()
  cycle(-1)
end

function M.dismiss()
  forget()
  withdraw()
end

function M.ask()
  request(BY_HAND)
end

return M
