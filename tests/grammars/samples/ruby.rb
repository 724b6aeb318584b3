require "json"
# <- @statement @import @reference
#       ^ @string
#            $ @statement @string @import
require_relative 'shelf'
# <- @statement @import @reference
#                ^ @string
#                      $ @statement @string @import

# A shelf 😀
# <- @statement @comment
#         $ @comment
module Library
# <- @scope @class @signature @statement
#      ^ @signature.last @definition @reference
#            $ @signature
  class Shelf < Base
  # <- @scope @class @signature @block
  #     ^ @definition
  #           ^ @signature.last
  #                $ @signature
    LIMIT = 10
    # <- @block @definition

    def initialize(name, limit = LIMIT, *rest, year: 2000, &block)
    # <- @scope @function @signature
    #   ^ @definition
    #             ^ @signature.last @bracket.open
    #                                                            ^ @bracket.close
      @name = name
      # <- @block
      @books = {}
      #        ^ @bracket.open
      #         ^ @bracket.close
    end
    # $ @function

    def self.open
    # <- @function
      new("main")
      # <- @block
      #  ^ @bracket.open
      #   ^ @string
      #         ^ @bracket.close
    end
    # $ @function

    def add(title)
    # <- @function
      return false if title.empty?

      key = "#{title} in #{@name}"
      #     ^ @string
      #      ^ @interpolation
      #             $ @interpolation
      if @books[key]
        puts "twice"
      else
        @books[key] = [title]
      end
      title.split.each do |word|
        @books[word] = 1
      end
      sizes = @books.map { |book, size| size * 2 }
      while sizes.any?
        sizes.pop
      end
      first, second = sizes
      begin
        save(first)
      rescue StandardError => error
        warn error.message
      ensure
        close
      end
    end
  end
  # $ @class
end
# $ @class
