"""Words that tell the name of somebody who speaks from a label of another kind: "Anna:", but not "Date:"."""

# In front of a name. With a full stop or without.
HONORIFICS = frozenset(
    "mr mrs ms mx miss dr prof professor sir dame lord lady baroness cllr councillor councilman councilwoman alderman "
    "sen senator rep representative congressman congresswoman rev reverend fr father sister brother capt captain col "
    "colonel gen general sgt sergeant lt judge justice amb ambassador minister president hon phd grad postdoc officer "
    "detective deputy commissioner herr frau fräulein hr stadtrat stadträtin gemeinderat gemeinderätin abg ratsherr "
    "ratsfrau monsieur madame mademoiselle mme mlle maître señor señora señorita sr sra srta don doña signor "
    "signora".split()
)

# Who speaks for what he or she is. The last word of the label counts: "The Deputy Chair", "Unknown speaker".
ROLES = frozenset(
    "speaker chair chairman chairwoman chairperson vice-chair co-chair chairs president vice-president secretary "
    "treasurer clerk mayor minister moderator facilitator host co-host presenter anchor narrator announcer "
    "interviewer interviewee guest caller operator reporter journalist correspondent editor member members delegate "
    "councillor witness judge justice court counsel prosecutor attorney lawyer defendant plaintiff foreman juror "
    "bailiff registrar teacher student pupil tutor lecturer doctor nurse patient therapist client customer agent "
    "manager director engineer scientist curator designer developer author officer superintendent inspector "
    "commissioner coordinator participant panelist panellist audience translator interpreter man woman boy girl child "
    "mother father user assistant bot voice everybody all unknown unidentified sprecher sprecherin vorsitz "
    "vorsitzende vorsitzender präsident präsidentin bürgermeister bürgermeisterin oberbürgermeister "
    "oberbürgermeisterin schriftführer schriftführerin kassier kassierin kassenwart moderatorin interviewerin "
    "befragter befragte zeuge zeugin richter richterin staatsanwalt staatsanwältin verteidiger verteidigerin lehrer "
    "lehrerin schüler schülerin teilnehmer teilnehmerin abgeordneter abgeordnete antragsteller antragstellerin "
    "zuschauer zuschauerin reporterin stadtrat stadträtin président présidente maire secrétaire journaliste "
    "intervenant intervenante animateur animatrice presidente presidenta alcalde alcaldesa secretario secretaria "
    "moderador moderadora entrevistador entrevistadora entrevistado entrevistada periodista".split()
)

# What stands in front of a question and its answer; speakers where both are there.
QUESTION_AND_ANSWER = (
    ("q", "a"), ("question", "answer"), ("frage", "antwort"), ("f", "a"), ("question", "réponse"),
    ("pregunta", "respuesta"), ("p", "r"),
)  # fmt: skip

# Small words inside the name of a person or role: "Ludwig van Beethoven", "Minister of Finance", "A Member".
PARTICLES = frozenset(
    "de da di do du dos das del della der den van von vom zu zum zur la le les el al bin ibn ben of the for and und "
    "des für y e a an hon to d’ mc".split()
)

# These name what is behind the colon, or when it was, and never who said it.
FIELDS = frozenset(
    # The head of minutes, letters and mails.
    "date time place venue location room address present attending attendance attendees attendee absent apologies "
    "excused regrets invited distribution from to cc bcc subject re reply-to sent received fwd ref reference file no "
    "number title name names role by version status type category tags keywords language source link links url "
    "website web email e-mail mail phone telephone tel fax mobile contact organiser organizer duration start end "
    "begin finish started ended opened closed adjourned quorum recorded recording transcript transcribed minutes "
    "meeting meetings session sessions subtitle copyright license licence id isbn doi "
    # Parts of documents.
    "agenda item items topic topics theme issue issues point points summary abstract overview introduction background "
    "context purpose aim aims goal goals objective objectives scope method methods result results finding findings "
    "conclusion conclusions recommendation recommendations discussion discussions decision decisions resolution "
    "resolutions motion motions proposal proposals amendment vote votes voting outcome outcomes action actions task "
    "tasks todo todos to-do owner owners responsible assignee assigned due deadline deadlines priority note notes nb "
    "remark remarks comment comments warning caution important attention tip tips hint example examples e.g i.e "
    "definition definitions question questions answer answers faq faqs problem problems solution solutions cause "
    "causes effect reason reasons fact facts fix update updates news announcement announcements report reports "
    "correction corrections follow-up next previous last today yesterday tomorrow now then later done doing blocked "
    "blocker blockers progress plan plans planned open closing opening welcome break lunch coffee dinner other others "
    "miscellaneous misc aob any appendix annex attachment attachments enclosure enclosures chapter section part "
    "paragraph article clause rule rules step steps phase stage level day days week month year figure fig table chart "
    "exhibit image photo picture caption video audio page slide line footnote footnotes see also cf ps p.s p.p.s "
    "option options choice group team grade class unit lesson module exercise homework "
    # Amounts and descriptions of things.
    "cost costs price prices budget amount total subtotal sum balance income expenses revenue fee fees tax size "
    "weight height width length depth area capacity volume speed temperature colour color material quantity qty rate "
    "score population region country city state county street zip postcode born died age sex gender occupation "
    "nationality ingredients directions instructions serves yield requirements prerequisites materials tools "
    "equipment risk risks pros cons advantages disadvantages strengths weaknesses opportunities threats benefits "
    "features monday tuesday wednesday thursday friday saturday sunday january february march april may june july "
    "august september october november december spring summer autumn winter morning afternoon evening night noon todo "
    "fixme wip http https ftp output input usage default returns raises args params code error "
    # German.
    "datum uhrzeit zeit ort raum adresse anwesend anwesende abwesend entschuldigt teilnehmende gäste verteiler von an "
    "betreff betr bezug aktenzeichen az anlage anlagen titel verfasser protokoll protokollant protokollführung beginn "
    "ende dauer sitzung sitzungen tagesordnung tagesordnungspunkt top tops punkt punkte thema themen beschluss "
    "beschlüsse beschlussvorschlag antrag anträge abstimmung abstimmungsergebnis ergebnis ergebnisse entscheidung "
    "entscheidungen diskussion aussprache sachstand bericht berichte hinweis hinweise anmerkung anmerkungen bemerkung "
    "bemerkungen achtung wichtig beispiel zusammenfassung einleitung hintergrund ziel ziele zweck vorgehen maßnahme "
    "maßnahmen aufgabe aufgaben erledigt offen zuständig verantwortlich frist termin termine fällig status nächste "
    "nächster nächstes verschiedenes sonstiges kosten preis betrag summe gesamt haushalt anzahl telefon quelle "
    "quellen begründung lösung problem ursache schritt teil kapitel abschnitt absatz artikel paragraf seite abbildung "
    "tabelle montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag januar februar märz mai juni juli "
    "oktober dezember heute gestern morgen frühling sommer herbst winter ja nein enthaltungen enthaltung dafür "
    "dagegen "
    # French and Spanish.
    "objet lieu heure présents absents excusés ordre résumé remarque exemple décision décisions conclusion annexe "
    "fecha hora lugar asistentes ausentes asunto tema temas orden resumen nota notas ejemplo decisión decisiones "
    "acuerdo acuerdos conclusión anexo".split()
)

# Given names that are common somewhere. One of them in front makes a label a person's, whatever else tells nothing.
# What is heard and not said: "[Laughter] So we went on."
SOUNDS = frozenset(
    "applause audio background beep beeping bell bells blank cheering cheers chuckle chuckles chuckling clapping cough "
    "coughing coughs cough crosstalk crying door exhales foreign gasp gasps inaudible indistinct inhales laugh "
    "laughing laughs laughter music musik applaus gelächter lachen noise noises off-mic pause phone rain ringing rings "
    "scream screaming screams shouting sigh sighing sighs silence sings singing sneezes sniffs sobbing sound speaking "
    "speaks static thunder unclear unintelligible whispering whispers whistling musique applaudissements rires "
    "música risas aplausos".split()
)
GIVEN_NAMES = frozenset(
    # English.
    "aaron abby abigail adam adrian agnes aidan alan albert alex alexander alexandra alexis alfred alice alicia "
    "alison allan allison alma alvin amanda amber amelia amy andre andrea andrew andy angela angus anita ann anna "
    "anne annie anthony anton antony april archie arnold arthur ashley audrey austin ava barbara barry beatrice becky "
    "ben benjamin bernard bert beth betty beverly bill billy bob bobby brad bradley brandon brenda brian bridget "
    "bruce bryan caitlin callum cameron carl carla carol caroline carolyn casey catherine cathy cecil celia charles "
    "charlie charlotte chelsea cheryl chloe chris christian christina christine christopher cindy claire clara clare "
    "clarence clark claude claudia cliff clive colin connie connor courtney craig crystal curtis cynthia daisy dale "
    "damian dan dana daniel daniela danny darren dave david dawn dean debbie deborah denis denise dennis derek diana "
    "diane dick dirk dominic don donald donna dora doris dorothy doug douglas duncan dylan ed eddie edgar edith "
    "edmund edna edward edwin eileen elaine eleanor elena eli elijah elisa elisabeth eliza elizabeth ella ellen ellie "
    "elliot elsa elsie emily emma enid eric erica erik ernest ernie esther ethan ethel eugene eva evan eve evelyn "
    "faith felicity felix fergus fiona flora florence frances francis frank franklin fred freddie frederick gabriel "
    "gail gareth gary gavin geoff geoffrey george georgina gerald geraldine gerry gilbert gina gladys glen glenda "
    "glenn gloria gordon grace graham greg gregory gwen hannah harold harriet harry harvey hazel heather hector helen "
    "helena henry herbert hilary holly howard hugh hugo iain ian ida imogen ingrid irene iris isaac isabel isabella "
    "isla ivan ivy jack jackie jackson jacob jade jake james jamie jan jane janet janice jasmine jason jay jean jeff "
    "jeffrey jemma jennifer jenny jeremy jerry jess jesse jessica jill jim jimmy jo joan joanna joanne joe joel "
    "johanna john johnny jon jonathan jordan joseph josephine josh joshua joy joyce juan judith judy julia julian "
    "julie june justin karen karl kate katherine kathleen kathryn kathy katie kay keith kelly ken kenneth kerry kevin "
    "kieran kim kirsten kirsty kurt kyle lance larry laura lauren laurence leah lee lena leo leon leonard leroy "
    "leslie lewis liam lily linda lisa liz lois lorna lorraine louis louise lucas lucy luke lydia lynn mabel maggie "
    "malcolm marc marcus margaret maria marian marie marilyn marion marjorie mark marlene martha martin marvin mary "
    "matt matthew maureen maurice max maxine megan melanie melissa melvin mia michael michelle mick mike mildred "
    "miles millie milton miranda molly monica morgan morris muriel nancy naomi natalie natasha nathan neil nell "
    "nellie nicholas nick nicola nicole nigel nina noah noel nora norma norman olga olive oliver olivia oscar owen "
    "paddy pam pamela pat patricia patrick paul paula pauline peggy penelope penny percy peter phil philip phillip "
    "phoebe phyllis polly priya rachel ralph randy ray raymond rebecca reg rhys richard rick ricky rita rob robert "
    "robin rod roderick rodney roger roland ron ronald rory rosa rosalind rosemary rosie ross roy russell ruth ryan "
    "sabrina sally sam samantha samuel sandra sara sarah saul scott sean sebastian seth sharon shaun sheila shirley "
    "sidney silas simon sophia sophie stacey stan stanley stella stephanie stephen steve steven stewart stuart sue "
    "susan susanna suzanne sybil sylvia tamara tanya tara ted terence teresa terry tess theo theodore theresa thomas "
    "tim timothy tina toby todd tom tommy tony tracey tracy trevor trudy ursula valerie vanessa vera vernon veronica "
    "vic vicky victor victoria vincent viola violet virginia vivian walter wanda warren wayne wendy wilfred will "
    "william winifred yvonne zach zachary zara zoe "
    # German, Dutch and Nordic.
    "achim adele alois andreas anette anja anke annegret annelie annemarie annette annika antje arne arno astrid "
    "august axel bärbel bastian beate bernd bernhard birgit birgitta birte bjarne björn bo bodo bruno burkhard carina "
    "carsten christa christel christiane christoph claus constanze cornelia dagmar detlef dieter dietmar dietrich "
    "dirk doreen dörte eberhard eckhard edeltraud einar elfriede elke elmar emil erich erika erna ernst erwin eva "
    "ewald falk ferdinand finn florian franz franziska frauke frederik frieda friedrich fritz frode gabi gabriele "
    "georg gerd gerda gerhard gerlinde gertrud gesa gisela gitte greta gudrun guido gunnar günter günther gustav "
    "haakon hanna hannelore hanne hannes hans harald hartmut hedwig heidi heike heiko heiner heinrich heinz helga "
    "helge helmut hendrik henning henrik hermann hilde hildegard holger horst ilse imke ines inga inge ingeborg ingo "
    "ingrid inken irmgard isolde jana jannik jens joachim jochen johan johannes jonas jörg josef jost jürgen jutta "
    "kai karin karla karola karsten käthe katharina kathrin katja katrin kerstin kirsten kjell klara klaus knut "
    "konrad konstantin kristian kristin kristina kristine lars lasse leif lene liesel lina linus liv lothar lotte "
    "ludwig luise lukas lutz magda magdalena magnus maik maike maja malte manfred manuela mareike margarete margit "
    "margrit marianne mario marit marita markus marlies marlis marta martina mathilde matthias maximilian mechthild "
    "meike merle mette michaela mikkel mirko monika moritz nadine niels nikolaus nils norbert olaf ole oliver otto "
    "patrizia per petra pia philipp rainer ralf raphael reiner reinhard reinhold renate rita roland rolf rosemarie "
    "rudi rudolf rune rüdiger sabine saskia sigrid silke silvia simone sigurd solveig sonja sönke stefan stefanie "
    "steffen sten susanne sven svenja swantje tanja theodor thea thomas thorsten tilda tilo timo tobias tom torben "
    "torsten traute trine udo uli ulf ulla ulrich ulrike ulrika ursel ute uta uwe veronika viktor viktoria volker "
    "walburga waltraud werner wibke wilfried wilhelm willi wim winfried wolf wolfgang yannick anouk bas bram daan "
    "femke floor geert gijs hendrika ilja jaap jasper jeroen joost joris kees lieke maarten marieke marijke nienke "
    "pieter rens roos ruud sanne sjoerd teun thijs tjitske willem wouter "
    # French, Italian, Spanish and Portuguese.
    "adèle agathe alain alessandro alfonso alfredo alberto alejandra alejandro amélie ana andrés ángel antoine "
    "antonio antónio arnaud aurélie beatriz benoît bernardo bianca camila camille carlo carlos carmen cécile céline "
    "chiara christophe claudine clémence clément concha cristina damien delphine diego didier dolores domingo eduardo "
    "élise élodie emilio emmanuel enrique enzo esperanza estelle étienne fabien fabio federico felipe fernanda "
    "fernando francesca francesco francisca francisco françois françoise gaël gaëlle gerardo giacomo gianni giorgio "
    "giovanni giulia giuseppe gonzalo guillaume guillermo gérard hélène henri hervé ignacio inés isabelle jacqueline "
    "jacques javier jérôme joaquín joão jorge josé juana juanita julien laurent laurence léa leonardo lorenzo luca "
    "lucia lucía lucie luigi luis luiz luz manon manuel marcel marcelo marco margarita mariana marina marisol mathieu "
    "mateo matteo mercedes michel miguel mireille muriel nathalie nicolas nuria odile olivier pablo paolo paola "
    "pascal patrice pedro philippe pierre pilar quentin rafael ramón raúl rémi renaud renée ricardo roberto rocío "
    "rodrigo rosario salvador salvatore santiago sébastien sergio serge silvio sofia sofía sophie stéphane susana "
    "sylvain sylvie thierry thomas valentina valérie vincenzo viviane xavier yann yves "
    # Slavic, Baltic, Hungarian, Greek, Turkish.
    "agnieszka aleksandar aleksander aleksandra alina anastasia andrej andrei andrzej anka bartosz bogdan bojan boris "
    "borys branka cem csaba dariusz darya dimitri dimitris dmitri dmitry dorota dragan ekaterina elif emre ewa fatma "
    "ferenc galina goran grzegorz hakan halina igor ilona irina ivana ivo iwona jadwiga janusz jarek jelena jerzy "
    "jiri jovan kasia katarzyna katalin kazimierz kostas krzysztof lech ljubica ljudmila lászló maciej magdaléna "
    "małgorzata marek marija marta mateusz mehmet mihai mila milan milena miloš mira miroslav murat mustafa nadia "
    "natalia natalya nikola nikolai nikos oksana oleg olena pavel petr petros piotr radek ruslan sasha sergei sergey "
    "slavko snežana stanislav svetlana szymon tadeusz tatiana tatjana tomasz tomáš vasil vera viktor vladimir wanda "
    "wojciech yulia yuri yusuf zeynep zofia zoltán zoran zsófia zuzana "
    # Arabic, Persian, Hebrew, African.
    "abdul abdullah abebe adaeze ade adebayo ahmad ahmed aisha akua ali alemu amadou amal amina amir amos aminata "
    "arash asha avi ayesha ayo babak bashir bilal chidi chinedu chioma daoud dalia david dina ebele efua emeka esi "
    "eyal fadi faisal farah farid faridah fatima fatou fatoumata femi folake hadi hamid hamza hana hanan hassan hiba "
    "hussein ibrahim idris ifeoma ismail jabari jamal kamal kareem karim khadija khaled khalid kofi kojo kwabena "
    "kwame kwesi laila lamia latifa layla leila leyla lior maha mahmoud malik mariam mariama maryam masoud miriam "
    "mohamed mohammad mohammed moses moshe mousa moussa muhammad mwangi nabil nadir nasser ngozi nia noa noor nour "
    "nuru obi ofer olu oluwaseun omar osama ousmane parisa rana rania rashid reza rivka said salim salma samir samira "
    "sana seydou shira shirin simone solomon suleiman tamar tariq temi thabo tunde uri wafa wanjiru yael yaw yasmin "
    "yasmine yonatan yosef youssef zahra zainab ziad zodwa zola "
    # South, East and South-East Asian.
    "aarav abhishek aditi aditya akash akira aki akiko amit amita amitabh ananya anand anil anita anjali ankit anu "
    "anuradha aparna aravind arjun arun asif ashok ayumi bao chandra chen chloe deepa deepak devi dinesh divya farhan "
    "ganesh gaurav geeta gopal hari harish haruki haruto hiro hiroshi hui indira jaya jin jing jun kaori karthik "
    "kavita keiko kenji kenta kiran krishna kumar lakshmi lan lei lin ling linh mahesh makoto manish manoj mai maya "
    "meena meera mei min ming minh mohan mukesh nam naoko nanami neha nguyen nikhil nisha nitin padma pallavi pooja "
    "pradeep prakash prasad pranav prem preeti priya putri qing quang radha rahul raj raja rajesh rajiv rakesh ram "
    "ramesh rani ravi rekha rin ritu rohan rohit sachin sagar sakura sandeep sangeeta sanjay sanjeev satoshi shanti "
    "sheila shinji shiv shreya siddharth sita sneha sonia soo srinivas subhash sudha sunil sunita suresh susheela "
    "swati takashi takeshi tao tariq tatsuya tomoko tuan uma usha varun vijay vikas vikram vinod vishal wang wei xia "
    "xiao yan yang yi yoko yoshi yuki yuko yumi yun yuna zhang".split()
) - {"june", "april", "august", "dawn", "min", "max", "art", "mai"}
