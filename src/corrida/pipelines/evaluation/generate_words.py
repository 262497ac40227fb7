"""The words of the synthetic classroom: questions, misconceptions and what people say of them."""

from __future__ import annotations

from typing import NamedTuple


class Misconception(NamedTuple):
    """A misconception of beginners in programming.

    Attributes:
        label: its id in the taxonomy.
        topic: what it is about.
        name: in the taxonomy.
        description: in the taxonomy.
        held: what a student writes who holds it.
        near: what a student writes who knows better, in nearly the same words.
        described: how a reader of the answer may call it, the nearest to the taxonomy's words first.
    """

    label: str
    topic: str
    name: str
    description: str
    held: tuple[str, ...]
    near: str
    described: tuple[tuple[str, str], ...]


QUESTIONS: dict[str, str] = {
    "loops": "A loop prints the numbers from 1 to n. Explain how often its body runs and what it prints last.",
    "variables": "Two variables hold the numbers 3 and 5. Explain what happens to them line by line.",
    "lists": "A function gets a list and adds a number to it. Explain what the caller sees afterwards.",
    "functions": "A function works out an average. Explain how its result gets to the rest of the program.",
}
CORRECT: dict[str, tuple[str, ...]] = {
    "loops": (
        "range(1, n + 1) starts at 1 and stops before n + 1, so n is printed last and the body runs n times.",
        "The body runs once for each number from 1 up to and including n.",
    ),
    "variables": (
        "The name on the left gets the value of the right side as it is at that moment.",
        "I keep the old value in a third variable, since the first line would overwrite it.",
    ),
    "lists": (
        "Both names point to one list, so the caller sees the number that was added.",
        "The list itself is changed, and the caller has the same list.",
    ),
    "functions": (
        "The function hands its result back with return, and the caller keeps it in a variable.",
        "What the function returns takes the place of the call in the expression.",
    ),
}
MISCONCEPTIONS: tuple[Misconception, ...] = (
    Misconception(
        "M01", "loops", "loop bound off by one", "Believes that the end of a range is part of it, so the loop runs once too rarely or too often.",
        ("range(1, n) also gives n, because n stands in the brackets.", "It ends with n since range goes up to the last number you write."),
        "The end of the range is not part of it, so I wrote n + 1 to have no loop bound off by one.",
        (("off by one in the loop bound", "thinks the end of range belongs to it"),
         ("misses that the upper limit is excluded", "expects the last number to be included"),
         ("counts one round too few", "the final value is believed to be printed")),
    ),
    Misconception(
        "M02", "loops", "loop variable must be initialised", "Believes that a for loop needs its variable to be set before the loop begins.",
        ("First I have to set i = 0, or the for loop would not know where to begin.", "Without i = 1 above the loop there would be an error."),
        "In a while loop I would have to set i before; the for loop sets it on its own.",
        (("initialises the loop variable before a for loop", "sets the variable although the loop does"),
         ("superfluous start value", "writes an assignment that the loop overwrites anyway"),
         ("mixes up for and while", "prepares a counter by hand")),
    ),
    Misconception(
        "M03", "loops", "loop stops at once when the condition changes", "Believes that a while loop ends in the middle of its body as soon as its condition becomes false.",
        ("As soon as x is 10 the loop ends, so the print below it is skipped.", "The condition is watched the whole time and the rest of the body is left out."),
        "The condition is checked only at the top, so the rest of the body still runs when x becomes 10.",
        (("while loop stops in the middle of its body", "condition is believed to be watched all the time"),
         ("thinks the test is permanent", "expects the remaining statements to be skipped"),
         ("early exit without break", "the body is cut short")),
    ),
    Misconception(
        "M04", "variables", "assignment links two variables", "Believes that after a = b the variable a follows every later change of b.",
        ("After a = b they are tied together, so when b becomes 7, a is 7 too.", "a is now always the same as b."),
        "a = b copies the value of now; a does not follow b later.",
        (("assignment links the variables for good", "later changes are believed to carry over"),
         ("treats an assignment as an equation", "expects both names to move together"),
         ("lasting tie between names", "value is thought to be shared for ever")),
    ),
    Misconception(
        "M05", "variables", "assignment works from left to right", "Believes that a = b stores the value of a in b.",
        ("a = b puts what is in a into b, reading from left to right.", "The left one is moved into the right one."),
        "It is the right side that is stored in the left one, although we read from left to right.",
        (("reads assignment from left to right", "stores the left value in the right name"),
         ("direction of the equals sign reversed", "source and target are exchanged"),
         ("moves the wrong value", "takes the target for the source")),
    ),
    Misconception(
        "M06", "variables", "swap without a third variable loses a value", "Believes that a = b and then b = a exchanges two values.",
        ("I write a = b and then b = a, and then they have changed places.", "Two lines suffice for the exchange, one for each direction."),
        "With a = b and then b = a one of the values would be lost, so I keep it elsewhere first.",
        (("swap without a third variable", "two assignments are believed to exchange the values"),
         ("loses a value while exchanging", "overwrites what is needed later"),
         ("naive exchange", "forgets that the first line destroys the old content")),
    ),
    Misconception(
        "M07", "lists", "list is copied by assignment", "Believes that b = a makes a second list, so that changes of b leave a as it was.",
        ("b = a gives me a second list, so the first one stays as it was.", "By assigning it I have a copy that I can change safely."),
        "b = a does not copy the list; with a.copy() I would get a second one.",
        (("list believed to be copied by assignment", "expects two separate lists"),
         ("overlooks aliasing", "thinks the original is protected"),
         ("safe duplicate", "assumes that another name means another object")),
    ),
    Misconception(
        "M08", "lists", "first index is one", "Believes that the first element of a list has the index 1.",
        ("The first element is a[1], as counting begins with one.", "a[3] is the third one."),
        "The first element is a[0]; a[1] is the second one already.",
        (("index of the first element is one", "starts to count positions at 1"),
         ("shifts all positions", "takes the number of the place for the index"),
         ("everyday counting", "does not begin with zero")),
    ),
    Misconception(
        "M09", "lists", "append returns the new list", "Believes that append gives back the longer list instead of changing the list in place.",
        ("new = a.append(4) gives the longer list in new.", "I return a.append(4), that is the list with the 4."),
        "append changes the list in place and returns None, so I do not assign its result.",
        (("append is believed to return the list", "uses the result of append"),
         ("expects a value from a method that changes in place", "assigns None by accident"),
         ("misreads what the method gives back", "loses the list")),
    ),
    Misconception(
        "M10", "functions", "printing is returning", "Believes that a value that a function prints can be used by the caller.",
        ("The function prints the average, so the program can go on with it.", "print gives the result to the main program."),
        "Printing it would not be returning it, so I return the average and print it outside.",
        (("takes printing for returning", "believes the caller can use what is printed"),
         ("result only goes to the screen", "no value is handed back"),
         ("output and result mixed up", "the average never leaves the function")),
    ),
    Misconception(
        "M11", "functions", "return does not end the function", "Believes that lines below a return that was reached still run.",
        ("After return it still prints the message in the next line.", "First it returns and then it goes on with the rest."),
        "return ends the function, so the line below it does not run any more.",
        (("thinks that return does not end the function", "expects statements after return to run"),
         ("goes on after handing the value back", "unreachable lines are believed to be reached"),
         ("treats return as a message", "does not see the exit")),
    ),
    Misconception(
        "M12", "functions", "parameter must have the name of the argument", "Believes that a function can only be called with variables that are called like its parameters.",
        ("I have to call my variable numbers too, or the function will not find it.", "The names inside and outside must be the same."),
        "The parameter has a name of its own; my variable may be called as I like.",
        (("parameter and argument must have one name", "believes that names have to agree"),
         ("binds by name instead of by position", "renames variables without need"),
         ("one name for everything", "does not separate inside and outside")),
    ),
)  # fmt: skip
FILLERS: tuple[str, ...] = (
    "I tried it with n = 4.",
    "I drew a table to be sure.",
    "That is how we did it in class.",
    "I am not sure about the last line.",
    "First I read the whole program.",
)
ELSEWHERE: tuple[tuple[str, str], ...] = (
    ("unclear wording", "the sentence could be understood in two ways"),
    ("missing example", "the answer would gain by an example"),
    ("incomplete answer", "a part of the question is not answered"),
)
