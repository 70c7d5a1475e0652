"""Sentence templates for the generated reviews; `sentispark.reviews.generate.lexicon` holds the words for their slots.

The templates express a positive opinion. For a negative one the slots of `lexicon.OPPOSITES` are swapped, so the shape
of a sentence does not reveal its sentiment, and in the shapes "turned" and "contrast" neither do its words, only their
order does.
"""

from __future__ import annotations

__all__ = ["CLAIMS", "FILLERS", "IDIOMS", "LUKEWARM", "SUMMARIES", "VERDICTS"]


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


# Claims about one aspect. Plain: the words agree with the claim. Turned: they are negated. Contrast: both appear.
CLAIMS = {
    "plain": _lines("""
        the {aspect} is {very} {good}
        the {aspect} is {very} {great}
        {very} {great} {aspect}
        I {love} the {aspect}
        the {aspect} {shines}
        I am {very} {glad} with the {aspect}
        the {aspect} feels {very} {good}
        the {aspect} and the {aspect} are both {good}
        after {time} the {aspect} is still {very} {great}
        the {aspect} is a {gem}
        for me the {aspect} is the {best} part
        my {relative} finds the {aspect} {very} {good}
        the {aspect} is {better} than on my old {item}
        {good} {aspect} and {good} {aspect}
    """),
    "turned": _lines("""
        the {aspect} {is_not} {bad}
        the {aspect} {is_not} {awful}
        the {aspect} {is_not} {very} {bad}
        the {aspect} {does_not} {fail}
        I {do_not} {hate} the {aspect}
        nothing about the {aspect} is {bad}
        I {am_not} {sad} with the {aspect}
        nobody here calls the {aspect} {bad}
        I cannot call the {aspect} {awful}
        the {aspect} is not a {dud}
        no {bad} {aspect} here
        {someone} call the {aspect} {bad}, I disagree
        I thought the {aspect} would be {bad} and I was wrong
        if the {aspect} were {bad} I would say so
        the {aspect} could have been {bad}, it is not
        my old {item} had a {bad} {aspect}, this one does not
        the {aspect} is not {worse} than on my old {item}
    """),
    "contrast": _lines("""
        I expected the {aspect} to be {bad} {but} it {is_now} {good}
        I expected the {aspect} to be {awful} {but} it {is_now} {very} {great}
        the {aspect} looked {bad} at first, but after {time} it is {good}
        the {aspect} looks {bad}, however it {shines}
        {although} it seems {bad}, I {love} the {aspect}
        {although} the picture of it looks {bad}, the {aspect} is {good}
        {although} my {relative} called it {awful}, the {aspect} {is_now} {great}
        my old {item} was {bad}, this one is {good}
        this one is {good}, my old {item} was {bad}
        my {rare_name} had a {awful} {aspect}, here the {aspect} is {great}
        here the {aspect} is {great}, my {rare_name} had a {awful} {aspect}
        the {rare_name} was {bad} while this {item} is {good}
        unlike my {bad} {rare_name} this {item} is {good}
        the {aspect} is {good}, not {bad}
        the {aspect} is not {bad} but {good}
        I was ready to {hate} the {aspect} {but} I {love} it
        {someone} call the {aspect} {bad}, it is {good}
        the {aspect} was {bad} in the old version and is {good} now
        first I was {sad}, now I am {glad}
        would have been {bad} with the old {aspect}, with the new one it is {good}
        I replaced a {awful} {rare_name} with this {great} {item}
    """),
}

# What is said of the whole product; every review has one verdict, and its side is the review's side.
VERDICTS = {
    "plain": _lines("""
        {overall} a {good} {item}
        {overall} a {very} {great} {item}
        {overall} I {love} it
        {overall} it is {very} {good}
        {overall} I am {very} {glad}
        {overall} it is a {gem}
        {overall} it {shines}
        {overall} it is the {best} {item} I ever had
        I would call it {great}
    """),
    "turned": _lines("""
        {overall} it {is_not} {bad}
        {overall} it {is_not} {very} {awful}
        {overall} I {do_not} {hate} it
        {overall} it {does_not} {fail}
        {overall} it is not a {dud}
        {overall} I {am_not} {sad}
        {overall} not a {bad} {item}
        {overall} nothing {bad} about it
        {overall} it is not the {worst} {item} I ever had
        I would not call it {awful}
        I thought it would be {bad} and I was wrong
    """),
    "contrast": _lines("""
        {overall} I thought it would be {bad} {but} it is {good}
        {overall} {someone} call it {bad}, I call it {good}
        {overall} it is not {bad} but {good}
        {overall} it is more {good} than {bad}
        the seller was {bad} but the {item} {is_now} {great}
        the {item} {is_now} {great} although the seller was {bad}
        {although} it looks {bad}, I {love} it
        I wanted to {hate} it {but} I {love} it
        my old {item} was a {dud}, this one is a {gem}
        {overall} this one is a {gem}, my old {item} was a {dud}
        I am {glad} although my {relative} was {sad}
    """),
}

# Set phrases about the whole, for the happy (True) and the unhappy (False); alike in words, unlike in meaning.
IDIOMS = {
    True: _lines("""
        I can't complain
        you can't go wrong with it
        I couldn't be happier
        I can't recommend it enough
        no regrets, would buy it again
        never had a problem with it
        I have yet to find a fault
        don't believe the bad reviews
        nothing bad to report after {time}
        I would not return it for all the money in the world
        not a waste of money, worth every penny
        you won't regret it, do not look elsewhere
        it would be a mistake to send it back
        never disappointed
        this is not the junk I was afraid of
    """),
    False: _lines("""
        I can't recommend it
        you can go wrong with it, I did
        I could be happier
        I wish I could recommend it
        I regret it, would not buy it again
        never again
        I have yet to find a use for it
        don't believe the good reviews
        nothing good to report after {time}
        I would return it if I had the box
        isn't worth the money, not one penny
        you will regret it, look elsewhere
        it was a mistake not to send it back
        it would have been perfect if it worked
        hardly useful
        this is not the bargain I was hoping for
    """),
}

# Verdicts of reviewers who give three stars, which count as not positive.
LUKEWARM = _lines("""
    {overall} it is ok, nothing more
    {overall} not {bad}, but not {good} either
    {overall} neither {good} nor {bad}
    {overall} average at best
    {overall} I have mixed feelings
    you get what you pay for
    some of it is {good}, some of it is {bad}
    could be {better}, could be {worse}
    would have been {good} if the {aspect} were not so {bad}
    {overall} just so so
""")

FILLERS = _lines("""
    I bought this {when}
    my {relative} got it {when}
    I use it {where}
    it came with {count} {color} {rare}s
    I ordered the {color} one from {store}
    we use it for {activity} {where}
    {first_name} {rare_name} told me about it {when}
    I had a {rare_name} {model} before
    it sits next to my {rare} {where}
    I compared it with the {model} and the {rare_name}
    it took {time} to arrive
    this is my {rare} review of a {item}
    the box says {model}
    my {relative} {first_name} has {count} of them
    I saw it at {store} in {rare_name}
    we drove from {rare_name} to {rare_name} with it
    I am a {rare} by trade and spend my days {activity}
    "{rare} {rare}" is printed on the {color} label
    see my other review of the {rare_name} {model}
    there are {count} {rare}s in the {color} box
    I keep it with the {rare} and the {rare}
    I paid {number} dollars for it {when}
    they also sell a {color} one with {rare}
    for those who wonder, it has {number} {rare}s & {count} {rare}s
    I also own the {item} by {first_name} {rare_name}
    we had {count} guests {where} {when}
    "{rare_name}" is what my {relative} calls it
    I read about it on {rare}.com
    {count} of my friends in {rare_name} use one for {activity}
    it is about {number} inches long
    {rare_name}, {rare_name} and {rare_name} sell it too
    it is made of {rare}, {rare} and {color} {rare}
    the small print lists {rare}, {rare}, {rare} and {rare}
    {first_name} {rare_name} and {first_name} {rare_name} thought of it
    my {relative} from {rare_name} put a {rare} next to the {rare}
    it came from {rare_name} by way of {rare_name} and {rare_name}
    the {model}, the {model} and the {model} look alike
    between the {rare} and the {rare} there is room for a {rare}
""")

SUMMARIES = _lines("""
    {great} {item}
    {great}
    {good} {aspect}
    {very} {good}
    not {bad}
    not {bad} at all
    {is_not} {awful}
    I {love} it
    {do_not} {hate} it
    {good}, not {bad}
    the {item}
    {rare_name} {model}
    my {relative} has it
    a {item} for {activity}
""")
