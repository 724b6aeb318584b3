"""Looking at a change: a patch goes in, ranked and explained findings come out.

The rules without the model ask syntax trees and the text; those with it ask the
worker how likely each changed line is between what stands before and behind it.
Knows patches, rules and findings; knows no language server, no tensors and no
command line.
"""
