-- The commands of Setfill.
if vim.g.loaded_setfill or vim.fn.has('nvim-0.11') == 0 then
  return
end
vim.g.loaded_setfill = true

local function command(name, action, options)
  vim.api.nvim_create_user_command(name, function(arguments)
    require('setfill.fill')[action](arguments)
  end, options)
end

command('SetfillHoles', 'holes', { desc = 'Fill all marked holes of the buffer together' })
command('SetfillFill', 'range', { range = true, desc = 'Replace the selected lines, or fill in at the cursor' })
command('SetfillWhy', 'why', { desc = 'Say why there is no suggestion' })
command('SetfillStatus', 'status', { desc = 'Show how Setfill is' })
