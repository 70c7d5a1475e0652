"""Word tables for the generated reviews: the possible values of the slots of sentence templates.

Words are drawn by Zipf's law, so the first words of a table are the frequent ones. A blank entry leaves the slot empty.
"""

from __future__ import annotations

__all__ = ["CATEGORIES", "OPPOSITES", "WORDS"]


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split("|"))


# Slots that are swapped in negative sentences. Both tables of a pair have the same grammar, so either fits.
OPPOSITES = {
    "good": "bad",
    "great": "awful",
    "glad": "sad",
    "love": "hate",
    "shines": "fails",
    "shine": "fail",
    "gem": "dud",
    "better": "worse",
    "best": "worst",
}

WORDS = {
    "good": _words(
        "good|nice|solid|fine|decent|pleasant|reliable|useful|lovely|impressive|fantastic|terrific|well made|handy|"
        "outstanding|convincing|clever|enjoyable|satisfying|top notch|first rate|delightful|flawless|charming|stellar"
    ),
    "bad": _words(
        "bad|poor|cheap|weak|flimsy|unpleasant|unreliable|useless|ugly|disappointing|horrible|lousy|badly made|clumsy|"
        "pathetic|unconvincing|silly|annoying|frustrating|third rate|second rate|dreadful|faulty|dull|shoddy"
    ),
    "great": _words("great|excellent|amazing|perfect|wonderful|awesome|superb|brilliant|beautiful|incredible"),
    "awful": _words("terrible|awful|disgusting|worthless|miserable|atrocious|abysmal|defective|hideous|appalling"),
    "glad": _words("happy|pleased|impressed|satisfied|delighted|thrilled|comfortable|content"),
    "sad": _words("disappointed|unhappy|annoyed|dissatisfied|frustrated|upset|bored|uncomfortable"),
    "love": _words("love|like|enjoy|recommend|appreciate|adore|admire|cherish"),
    "hate": _words("hate|regret|dislike|resent|detest|despise|loathe|mistrust"),
    "shines": _words("works|delivers|impresses me|holds up|lives up to its price|shines|made my day|excels"),
    "fails": _words("fails|disappoints|annoys me|falls apart|falls short|let me down|ruined my day|lost me|stinks"),
    "shine": _words("work|deliver|impress me|hold up|satisfy|shine|excel|convince me|please me"),
    "fail": _words("fail|disappoint|annoy me|fall apart|bother me|stink|break|irritate me|let me down"),
    "gem": _words("bargain|gem|winner|keeper|treat|delight|pleasure|lifesaver|masterpiece|blessing|steal"),
    "dud": _words("joke|dud|mess|letdown|disaster|nuisance|failure|rip-off|waste|flop|pain"),
    "better": _words("better|nicer|easier|stronger|more useful|more fun|smarter"),
    "worse": _words("worse|uglier|harder|weaker|less useful|less fun|dumber"),
    "best": _words("best|nicest|strongest|finest|cleverest"),
    "worst": _words("worst|ugliest|weakest|poorest|silliest"),
    "very": _words("|very|really|so|quite|pretty|just|truly|extremely|absolutely|rather|sooo|incredibly|downright"),
    "is_not": _words("is not|isn't|was not|wasn't|is never|is hardly|is not at all|is far from|is anything but|ain't"),
    "am_not": _words("was not|am not|was never|wasn't|have never been|have not been|am hardly|was not at all"),
    "do_not": _words("do not|don't|can't|never|could not|cannot|didn't|hardly|couldn't"),
    "does_not": _words("does not|doesn't|did not|didn't|will not|never did|won't|has yet to|would not"),
    "but": _words(", but|but|and yet|, however,|, instead|; still,|only to see that"),
    "is_now": _words("is|turned out|was|turned out to be|proved|ended up"),
    "although": _words("although|even though|while|though|despite the fact that"),
    "overall": _words("|overall|all in all,|in the end|so,|to sum up,|for the price|bottom line:|honestly,|in short,"),
    "someone": _words("some people|other reviewers|my friends|a few reviews|many buyers|the one star crowd|the ads"),
    "relative": _words(
        "wife|husband|son|daughter|mother|friend|father|brother|sister|boyfriend|girlfriend|mom|dad|boss|neighbor|"
        "grandson|roommate|niece|nephew|cousin|teacher|aunt|uncle|dentist|landlord|coworker|grandmother|band mate"
    ),
    "time": _words(
        "a week|a month|two weeks|a year|a few days|six months|three months|a couple of uses|two years|one day|"
        "the first try|ten minutes|half a year|several washes|a long winter|one evening|forty hours|the holidays"
    ),
    "when": _words(
        "last week|yesterday|last month|in March|two years ago|on sale|in the summer|on Tuesday|for Christmas|in June|"
        "last fall|before the trip|on a whim|for a birthday|at the airport|after the move|in October|on Black Friday"
    ),
    "where": _words(
        "at home|in the kitchen|at work|in the car|in the bedroom|on the road|in the garage|at school|in the office|"
        "on the couch|in the basement|on the porch|at the beach|in the attic|at church|on the train|in the studio"
    ),
    "activity": _words(
        "reading reviews|comparing prices|cooking|traveling|shopping around|cleaning|gardening|playing|commuting|"
        "exercising|camping|moving house|painting|babysitting|knitting|fishing|repairing bikes|studying|hiking"
    ),
    "color": _words("black|blue|red|white|pink|green|brown|silver|gray|purple|yellow|orange|teal|beige|maroon|khaki"),
    "store": _words("Amazon|the mall|a local shop|eBay|the corner store|a flea market|an outlet|the airport shop"),
    "count": _words("two|three|one|four|five|six|a dozen|ten|seven|eight|twenty|nine|eleven|forty|a hundred"),
    "first_name": _words(
        "John|Mary|Mike|Susan|David|Linda|Chris|Karen|Bob|Lisa|Jim|Anna|Tom|Emily|Steve|Laura|Dan|Julie|Mark|Kim|"
        "Paul|Rosa|Kevin|Grace|Brian|Diana|Carlos|Megan|Wei|Priya|Omar|Ingrid|Ahmed|Yuki|Olga|Tariq|Bjorn|Zoe"
    ),
}

# name: items | aspects | praise | complaint. Praise and complaint join `good` and `bad` in this category alone.
CATEGORIES = tuple(
    {"item": _words(item), "aspect": _words(aspect), "good": _words(good), "bad": _words(bad)}
    for item, aspect, good, bad in (
        (
            "headset|charger|tablet|phone|speaker|camera|keyboard|router|monitor",
            "battery|screen|sound|signal|setup|cable|software|button|picture|charging port|volume|microphone|remote",
            "fast|sharp|responsive|crisp|intuitive|long lasting",
            "slow|blurry|sluggish|buggy|glitchy|short lived",
        ),
        (
            "guitar|pedal|ukulele|amp|microphone stand|strap|capo|drum pad|tuner",
            "tone|neck|sustain|tuning|finish|action|bridge|string set|pickup|knob|case|low end|fretboard",
            "warm|smooth|in tune|playable|resonant|punchy",
            "buzzing|scratchy|out of tune|unplayable|muddy|noisy",
        ),
        (
            "coffee|tea|snack|sauce|chocolate|cereal|soup|granola|popcorn",
            "taste|smell|texture|flavor|aftertaste|aroma|freshness|package|sweetness|serving size|crunch|recipe",
            "delicious|tasty|fresh|yummy|crunchy|mouth watering",
            "bland|stale|bitter|gross|soggy|inedible",
        ),
        (
            "novel|book|biography|sequel|cookbook|thriller|memoir|guide|story",
            "plot|ending|writing|pacing|dialogue|main character|first chapter|translation|illustration|cover|humor",
            "gripping|moving|well written|witty|believable|hard to put down",
            "boring|predictable|badly written|tedious|confusing|hard to finish",
        ),
        (
            "jacket|dress|pair of shoes|shirt|hat|backpack|sweater|belt|scarf",
            "fit|fabric|zipper|color|seam|size|lining|sole|pocket|waistband|collar|stitching",
            "comfortable|soft|stylish|flattering|breathable|true to size",
            "itchy|stiff|shapeless|baggy|see-through|too tight",
        ),
        (
            "blender|vacuum|kettle|toaster|pan|knife set|lamp|mattress|coffee maker",
            "lid|motor|handle|blade|noise level|design|heating element|filter|surface|cord|warranty|base|timer",
            "sturdy|durable|quiet|powerful|easy to clean|practical",
            "wobbly|brittle|loud|leaky|hard to clean|impractical",
        ),
        (
            "game|console game|puzzle|shooter|expansion pack|board game|controller|racing game",
            "gameplay|graphics engine|story mode|multiplayer|control scheme|soundtrack|camera|campaign|difficulty",
            "addictive|immersive|fun|balanced|polished|challenging",
            "repetitive|unfinished|unfair|laggy|broken|pointless",
        ),
        (
            "album|movie|soundtrack|DVD set|documentary|concert film|single|box set",
            "acting|melody|lyric sheet|production|voice|script|rhythm section|bonus track|cast|direction|opening song",
            "catchy|touching|hilarious|original|haunting|timeless",
            "cheesy|forgettable|overrated|uninspired|shallow|dated",
        ),
    )
)
